"""Run many links and tell how each one ended; a program of its own, so that a crash costs one case and not the tests.

    batch.py LINKER LIST

LIST is a JSON array of argument lists. LINKER is a program, or the word "mclink": then the package is imported once and
every case runs in a fork of this process. Prints a JSON array of [status, seconds, message]: the exit status, or minus
the signal; a case that runs longer than LIMIT seconds ends by SIGALRM.
"""

import json
import os
import resource
import sys
import tempfile
import time

LIMIT = 10
MEMORY = 4 << 30


def child(linker, argv, say):
    os.dup2(say, 1)
    os.dup2(say, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    import signal
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LIMIT)
    if linker != "mclink":
        os.execv(linker, [linker, *argv])
    try:
        status = __import__("mclink").link(argv)
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        import traceback
        traceback.print_exc()
        status = 120
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)


def run(linker, cases):
    rows = []
    with tempfile.TemporaryFile() as say:
        for argv in cases:
            say.seek(0)
            say.truncate()
            start = time.monotonic()
            pid = os.fork()
            if not pid:
                try:
                    child(linker, argv, say.fileno())
                finally:
                    os._exit(121)
            _, state = os.waitpid(pid, 0)
            took = time.monotonic() - start
            say.seek(0)
            rows.append([os.waitstatus_to_exitcode(state), round(took, 4), say.read(20000).decode("utf-8", "replace")])
    return rows


if __name__ == "__main__":
    program, path, *root = sys.argv[1:]
    sys.path[:0] = root
    if program == "mclink":
        import mclink.driver  # noqa: F401  loaded here, once, so that a fork is all a case costs
    with open(path) as f:
        todo = json.load(f)
    json.dump(run(program, todo), sys.stdout)
