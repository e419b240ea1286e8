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
CATALOGUE = {
    # inputs
    "cannot-open": ("error", "cannot open {path}: {reason}"),
    "not-recognised": ("error", "{file}: file format not recognised"),
    "bad-magic": ("error", "{file}: not an ELF file, an archive or a linker script"),
    "truncated": ("error", "{file}: file is truncated: {what} ends at {end:#x}, the file at {size:#x}"),
    "bad-field": ("error", "{file}: {what}: bad value {value:#x}"),
    "wrong-machine": ("error", "{file} is incompatible with {target}"),
    "library-not-found": ("error", "unable to find library -l{name}"),
    "lto-object": ("error", "{file}: is an LTO object and no compiler plugin can be loaded"),
    # symbols
    "undefined-symbol": ("error", "undefined symbol: {symbol}"),
    "undefined-symbol-warning": ("warning", "undefined symbol: {symbol}"),
    "duplicate-symbol": ("error", "duplicate symbol: {symbol}"),
    # relocations
    "reloc-range": ("error", "{place}: relocation {type} out of range: {value} is not in [{low}, {high}]"),
    "reloc-align": ("error", "{place}: relocation {type}: {value:#x} is not a multiple of {align}"),
    "reloc-unknown": ("error", "{place}: unknown relocation ({number})"),
    "reloc-not-allowed": ("error", "{place}: relocation {type} against {symbol} cannot be used here"),
    "reloc-bad-offset": ("error", "{place}: relocation {type} lies outside its section"),
    "reloc-bad-symbol": ("error", "{place}: relocation {type} has an invalid symbol index {number}"),
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
        (sys.stderr when None). Warnings found while the options were read are said now."""
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
            for text in options.early_warnings:
                self.warn(text)

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

        `faults` is an iterable of tuples that start with (file, section, offset), integers, in any
        order; `describe(fault)` gives (catalogue id, fields, lines). They are sorted first, so the
        text is the same for any number of threads.
        """
        for fault in sorted(faults):
            key, fields, lines = describe(fault)
            self.report(key, *lines, **fields)

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
        if stream is None:
            return
        if self._coloured(stream):
            line = (f"{_BOLD}{self.program}:{_RESET} {_COLOURS[severity]}{severity}: "
                    f"{_RESET}{text}\n")
        else:
            line = f"{self.program}: {severity}: {text}\n"
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
