"""Messages: their texts, how they are counted, how they are printed.

Every message of the linker is said here and nowhere else, so that its form is one form:

    ld.mclink: error: undefined symbol: f
    >>> referenced by a.c:12 (dir/a.c:12)
    >>>               a.o:(main)

The first line carries the program and the severity; the lines of a block start with ``>>> ``.

A message is either free text, ``diag.error("cannot open x: ...")``, or a row of CATALOGUE with
fields, ``diag.report("reloc-range", ...)``. Whatever the core finds in its nogil loops comes as
fixed-size records and becomes text by the second way, in file order (see `report_all`), so that the
messages do not depend on the number of threads.
"""

import sys

# id -> (severity, text). The id is the name under which tests, documents and the core's fault
# numbers know a message; the text is a str.format template over the fields of the report.
# Modules that own more messages add theirs with `add_messages`.
#
# Fields have one meaning everywhere:
#   file    what to call an input: a path, or archive(member)
#   place   file:(section+0xoffset)
#   symbol  a symbol's name as it is to be printed (demangled or not)
#   type    the printed name of a relocation type, R_X86_64_PC32
#   number  a raw number of the file: relocation type, symbol index, section index
#   offset  bytes from the start of the file or section
#   value, low, high   the number that did not fit and the closed range that it had to be in
CATALOGUE = {
    # inputs
    "cannot-open": ("error", "cannot open {path}: {reason}"),
    "not-recognised": ("error", "{file}: file format not recognised"),
    "library-not-found": ("error", "unable to find library -l{name}"),
    "bad-header": ("error", "{file}: malformed {what} (at {offset:#x})"),
    "truncated": ("error", "{file}: {what} is malformed or leaves the file (at {offset:#x}): "
                           "the file is truncated or damaged"),
    "bad-symbol": ("error", "{file}: invalid symbol {number}: {why}"),
    "bad-group": ("error", "{file}: malformed section group (section {value}): {why}"),
    "bad-align": ("error", "{file}: section {number}: alignment {value:#x} is not a power of two"),
    "bad-merge": ("error", "{place}: malformed mergeable section: size is not a multiple of "
                           "the entry size, or the last string has no end"),
    "bad-eh-frame": ("error", "{place}: malformed .eh_frame record"),
    "bad-shared": ("error", "{file}: {what} of the shared object is malformed (at {offset:#x})"),
    "bad-archive": ("error", "{file}: malformed archive (at {offset:#x}): {why}"),
    "wrong-machine": ("error", "{file} is incompatible with {target}"),
    "lto-object": ("error", "{file}: was compiled for LTO (-flto): it holds compiler IR and no machine code"),
    "no-memory": ("error", "out of memory"),
    # symbols
    "undefined-symbol": ("error", "undefined {visibility}symbol: {symbol}"),
    "undefined-symbol-warning": ("warning", "undefined {visibility}symbol: {symbol}"),
    "duplicate-symbol": ("error", "duplicate symbol: {symbol}"),
    "discarded": ("error", "relocation refers to a symbol in a discarded section: {symbol}"),
    "tls-mismatch": ("error", "{place}: relocation {type} does not fit the kind of {symbol}: "
                              "one is thread-local and the other is not"),
    # relocations
    "reloc-unknown": ("error", "{place}: unknown relocation ({number})"),
    "reloc-symbol": ("error", "{place}: relocation {type}: invalid symbol index {number}"),
    "reloc-offset": ("error", "{place}: relocation {type} lies outside its section"),
    "reloc-range": ("error", "{place}: relocation {type} out of range: "
                             "{value} is not in [{low}, {high}]{references}"),
    "reloc-align": ("error", "{place}: improper alignment for relocation {type}: "
                             "{value:#x} is not aligned to {low} bytes"),
    "needs-pic": ("error", "relocation {type} cannot be used against {symbol}; recompile with -fPIC"),
    "textrel": ("error", "relocation {type} cannot be used against {symbol} in a read-only section; "
                         "recompile with -fPIC, or pass -z notext to allow text relocations in the output"),
    "copy-protected": ("error", "{place}: cannot preempt protected symbol {symbol}"),
    "no-copy": ("error", "unresolvable relocation {type} against {symbol}; "
                         "recompile with -fPIC or remove -z nocopyreloc"),
    "bad-instruction": ("error", "{place}: relocation {type} is on an unexpected instruction"),
}

# Fault numbers of mclink/_core/fault.pxd -> catalogue id; the two lists are kept in step by a test.
# Numbers from 64 up belong to the targets, which add theirs with `add_faults`.
FAULTS = {
    1: "truncated", 2: "bad-symbol", 3: "reloc-symbol", 4: "reloc-offset", 5: "reloc-unknown",
    6: "undefined-symbol", 7: "reloc-range", 8: "discarded", 9: "needs-pic", 10: "textrel",
    11: "copy-protected", 12: "tls-mismatch", 13: "reloc-align", 14: "bad-eh-frame",
    15: "bad-merge", 16: "bad-group", 17: "bad-instruction", 18: "duplicate-symbol",
    19: "bad-header", 20: "bad-shared", 21: "bad-archive", 22: "no-memory", 23: "no-copy",
    24: "bad-align", 26: "wrong-machine",
}

# SGR sequences, the colours that gcc, clang and lld gave these words.
_COLOURS = {"error": "\x1b[0;31m", "warning": "\x1b[0;35m", "note": "\x1b[0;36m"}
_BOLD = "\x1b[1m"
_RESET = "\x1b[0m"


class LinkError(Exception):
    """The link cannot go on.

    ``str(error)`` is the message, without program name and severity, block lines included. An
    empty message means that all has been said already: the driver only leaves with status 1.
    """

    __slots__ = ()


def add_messages(rows):
    """Enter `rows` (id -> (severity, template)) into the catalogue; an id is entered once."""
    for key, row in rows.items():
        if CATALOGUE.setdefault(key, row) is not row and CATALOGUE[key] != row:
            raise ValueError(f"message {key!r} is in the catalogue already")


def add_faults(rows):
    """Enter a target's faults: fault number (64 and up) -> (catalogue id, severity, template)."""
    for number, (key, severity, template) in rows.items():
        add_messages({key: (severity, template)})
        FAULTS[number] = key


def format_message(key, fields):
    """(severity, text) of catalogue row `key` with `fields`; an unknown key is a KeyError."""
    severity, template = CATALOGUE[key]
    return severity, template.format_map(fields)


class Diagnostics:
    """The messages of one link.

    Attributes that may be read at any time:
      errors, warnings   int, how many were said (repeated ones once)
      messages           list of (severity, text) in the order of printing, for the Python API
    """

    __slots__ = ("program", "stream", "errors", "warnings", "messages", "error_limit",
                 "fatal_warnings", "no_warnings", "noinhibit_exec", "colour", "_said", "_script")

    def __init__(self, options=None, stream=None):
        """`options` is a `mclink.options.Options`, or None for the defaults; `stream` a text file
        (sys.stderr when None). Messages met while the options were read are said now."""
        self.program = "ld.mclink"
        self.stream = stream
        self.errors = 0
        self.warnings = 0
        self.messages = []
        self.error_limit = 20
        self.fatal_warnings = False
        self.no_warnings = False
        self.noinhibit_exec = False
        self.colour = "auto"
        self._said = set()
        self._script = None
        if options is not None:
            self.error_limit = options.error_limit
            self.fatal_warnings = options.fatal_warnings
            self.no_warnings = options.no_warnings
            self.noinhibit_exec = options.noinhibit_exec
            self.colour = options.color_diagnostics
            self._script = options.error_handling_script
            for severity, text in options.early_messages:
                if severity == "warning":
                    self.warn(text)
                else:
                    self.note(text)

    # -- saying

    def error(self, text):
        """Say an error; the link goes on to find more, and fails at the next `check`.

        Raises LinkError (empty) when --error-limit is reached. With --noinhibit-exec the same text
        is a warning, as in GNU ld and lld: the output is written and the status is 0.
        """
        if self.noinhibit_exec:
            self.warn(text)
            return
        if not self._first_time("error", text):
            return
        self.errors += 1
        if self.error_limit and self.errors > self.error_limit:
            text = ("too many errors emitted, stopping now "
                    "(use --error-limit=0 to see all errors)")
            self._print("error", text)
            raise LinkError()
        self._print("error", text)

    def warn(self, text):
        """Say a warning once. Under --fatal-warnings it is an error, under --no-warnings nothing."""
        if self.no_warnings:
            return
        if self.fatal_warnings and not self.noinhibit_exec:
            head, newline, block = text.partition("\n")
            self.error(f"{head} [--fatal-warnings]{newline}{block}")
            return
        if self._first_time("warning", text):
            self.warnings += 1
            self._print("warning", text)

    def note(self, text):
        """Say something that is neither; never counted, never fatal."""
        self._print("note", text)

    def say(self, text):
        """Say something that was asked for, without a severity, in GNU ld's form "program: text"."""
        self._write(f"{self.program}: {text}\n")

    def fatal(self, error):
        """Say the LinkError `error` that ended the link (nothing when it is empty)."""
        text = str(error)
        if text and self._first_time("error", text):
            self.errors += 1
            self._print("error", text)

    def report(self, key, *lines, **fields):
        """Say catalogue row `key`; `lines` become the lines of the block."""
        severity, text = format_message(key, fields)
        for line in lines:
            text += "\n>>> " + line
        if severity == "error":
            self.error(text)
        elif severity == "warning":
            self.warn(text)
        else:
            self.note(text)

    def report_all(self, faults, describe):
        """Say what the core recorded.

        `faults` is an iterable of tuples that start with (file, fragment, offset, code), integers,
        in any order; `describe(fault)` gives (fields, lines): the fields that row
        FAULTS[code] of the catalogue asks for and the lines of the block. They are sorted first,
        so the text is the same for any number of threads.
        """
        for fault in sorted(faults):
            fields, lines = describe(fault)
            self.report(FAULTS[fault[3]], *lines, **fields)

    # -- asking

    def check(self):
        """End the link (empty LinkError) when an error has been said; called between phases."""
        if self.errors:
            raise LinkError()

    def status(self):
        """The exit status so far: 1 after any error, else 0."""
        return 1 if self.errors else 0

    def run_error_script(self, tag, name):
        """Let --error-handling-script say more about `name`.

        `tag` is "undefined-symbol" or "missing-lib", and the script gets (tag, name) as its
        arguments (GNU ld manual, Options, --error-handling-script). Its status is ignored; that
        it cannot be started is a warning.
        """
        if self._script is None:
            return
        import posix
        self._flush()
        try:
            pid = posix.posix_spawn(self._script, [self._script, tag, name], posix.environ)
            posix.waitpid(pid, 0)
        except OSError as problem:
            self.warn(f"cannot run error handling script {self._script}: {problem.strerror}")

    # -- printing

    def _first_time(self, severity, text):
        key = (severity, text)
        if key in self._said:
            return False
        self._said.add(key)
        return True

    def _print(self, severity, text):
        self.messages.append((severity, text))
        stream = self.stream or sys.stderr
        if stream is not None and self._coloured(stream):
            self._write(f"{_BOLD}{self.program}:{_RESET} {_COLOURS[severity]}{severity}: {_RESET}{text}\n")
        else:
            self._write(f"{self.program}: {severity}: {text}\n")

    def _write(self, line):
        stream = self.stream or sys.stderr
        if stream is None:
            return
        try:
            stream.write(line)
        except UnicodeEncodeError:
            # A symbol or path name need not be text in any encoding.
            stream.write(line.encode("utf-8", "backslashreplace").decode("ascii", "backslashreplace"))
        except OSError:
            pass
        self._flush()

    def _flush(self):
        stream = self.stream or sys.stderr
        try:
            stream.flush()
        except (OSError, AttributeError):
            pass

    def _coloured(self, stream):
        if self.colour == "auto":
            try:
                return stream.isatty()
            except (AttributeError, ValueError):
                return False
        return self.colour == "always"
