"""Reading a command line into Options and the positional input tree.

The rules are GNU ld's (GNU ld manual, Options; GNU getopt's getopt_long_only for what the manual
leaves open). The rows that say what each option means are in `mclink.options.table`.
"""

from mclink.diag import LinkError
from mclink.paths import read_file
from mclink.tree import (
    DefsymNode, FileNode, GroupNode, JustSymbolsNode, LibNode, LibraryNode, ScriptNode, TreeBuilder)
from mclink.options.defaults import Options
from mclink.options.table import COMMON, build_index

# One-dash words that begin with these letters are the short option and its value, whatever long
# names exist: -lfoo, -L/dir, -znow, -O2 are on every link line and must not load the whole table.
_SHORT_FIRST = "lLzO"

# A response file may name others; GNU's libiberty stops at 2,000 expansions, too.
_MAX_RESPONSE_FILES = 2000

_MAX_ADDRESS = (1 << 64) - 1

# -mips32r2 and its like: gcc passes the ISA beside -melf32btsmip. It is no emulation "ips32r2".
_MIPS_ISA = ("-mips*", "", "none", None, None, "-the objects say their ISA", "MIPS instruction set")


class _Stop(Exception):
    """--help and --version: what follows on the line is not read, as in GNU ld."""


def parse(argv, program="ld.mclink"):
    """Options from `argv`, the words after the program's name.

    `program` is argv[0]: ``<triple>-ld`` names a target, as GNU's cross linkers do. Words are str,
    with bytes that are no UTF-8 as surrogates (os.fsdecode). Raises LinkError for a line that
    cannot be understood.
    """
    reader = _Reader(program)
    try:
        reader.read(expand_response_files(argv))
    except _Stop:
        pass
    return reader.finish()


def parse_number(text, word="number"):
    """Integer from C's notation (0x hexadecimal, 0 octal, decimal), 0 <= n < 2**64.

    `word` is the option for the message. Raises LinkError.
    """
    digits = text.lower()
    base = 10
    if digits.startswith("0x"):
        digits, base = digits[2:], 16
    elif digits.startswith("0") and len(digits) > 1:
        digits, base = digits[1:], 8
    return _convert(digits, base, text, word)


def parse_hex(text, word="number"):
    """Integer from hexadecimal digits with or without 0x, as -Ttext and --section-start take it."""
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    return _convert(digits, 16, text, word)


def _convert(digits, base, text, word):
    # int() alone would take signs, blanks and underscores.
    if digits.isalnum() and digits.isascii():
        try:
            value = int(digits, base)
        except ValueError:
            value = None
        if value is not None:
            if value > _MAX_ADDRESS:
                raise LinkError(f"{word}: number does not fit 64 bits: '{text}'")
            return value
    kind = "hexadecimal number" if base == 16 else "number"
    raise LinkError(f"{word}: invalid {kind}: '{text}'")


def expand_response_files(words):
    """`words` with every @file replaced by the words in it.

    A file that cannot be read leaves the word as it is: it is then an input that is not found
    (libiberty, expandargv).
    """
    for word in words:
        if word[:1] == "@":
            break
    else:
        return words
    expanded = []
    waiting = list(reversed(words))
    budget = _MAX_RESPONSE_FILES
    while waiting:
        word = waiting.pop()
        if word[:1] != "@" or len(word) == 1:
            expanded.append(word)
            continue
        try:
            data = read_file(word[1:])
        except (OSError, ValueError):
            expanded.append(word)
            continue
        budget -= 1
        if budget < 0:
            raise LinkError(f"{word[1:]}: too many response files, do they name each other?")
        waiting.extend(reversed(split_words(data.decode("utf-8", "surrogateescape"))))
    return expanded


def split_words(text):
    """The words of a response file, with GNU quoting (libiberty, buildargv).

    Blanks separate words; single and double quotes hold a word together; a backslash takes the
    next character as it is, inside quotes too. A quote may stay open.
    """
    if "\\" not in text and "'" not in text and '"' not in text:
        return text.split()
    words = []
    word = None         # list of characters, None between words
    quote = ""
    at = 0
    size = len(text)
    while at < size:
        char = text[at]
        at += 1
        if char == "\\":
            if word is None:
                word = []
            if at < size:
                word.append(text[at])
                at += 1
        elif quote:
            if char == quote:
                quote = ""
            else:
                word.append(char)
        elif char in "'\"":
            quote = char
            if word is None:
                word = []
        elif char in " \t\n\r\v\f":
            if word is not None:
                words.append("".join(word))
                word = None
        else:
            if word is None:
                word = []
            word.append(char)
    if word is not None:
        words.append("".join(word))
    return words


class _Reader:
    """The state of one parse: the words, the place in them, what has been understood."""

    def __init__(self, program):
        self.options = Options()
        self.options.program = program
        self.builder = TreeBuilder()
        self.index = build_index(COMMON, {})
        self.complete = False       # index holds the whole table
        self.words = ()
        self.at = 0                 # next word
        self.severity = "error"     # of undefined symbols that are reported
        self.zwords = None

    # -- words

    def read(self, words):
        self.words = words
        size = len(words)
        given = self.options.given
        while self.at < size:
            word = words[self.at]
            self.at += 1
            if word[:1] != "-" or len(word) == 1:
                self.builder.add(FileNode, word)
                continue
            if word == "--":
                for path in words[self.at:]:
                    self.builder.add(FileNode, path)
                self.at = size
                break
            row, argument = self.find(word)
            if row[1] and argument is None and row[1][0] != "[":
                if self.at >= size:
                    raise LinkError(f"option '{word}' needs an argument: {row[1]}")
                argument = words[self.at]
                self.at += 1
            given.append((word, row, argument))
            if row[5][:1] == "!":
                raise LinkError(f"option '{word}' cannot be used: {row[5][1:]}")
            self.act(row, argument, word)

    def find(self, word):
        """(row, argument joined to the word or None) of an option word; LinkError when unknown."""
        index = self.index
        two = word[1] == "-"
        name = word[2:] if two else word[1:]
        key, equals, value = name.partition("=")
        argument = value if equals else None
        if len(key) > 1:
            if two or key[0] != "o":
                row = index.get(key)
                if row is not None:
                    return self.fit(row, argument, word)
            if not two and name[0] in _SHORT_FIRST:
                return index["-" + name[0]], name[1:]
            if not two and name.startswith("mips") and name[4:5].isdigit():
                return _MIPS_ISA, None
            if not two and name.startswith(("melf", "maarch64", "marmelf")):
                return index["-m"], name[1:]
            self.load_table()
            if two or key[0] != "o":
                row = index.get(key)
                if row is not None:
                    return self.fit(row, argument, word)
        row = index.get("-" + name[0]) if name else None
        if row is None and not self.complete:
            self.load_table()
            row = index.get("-" + name[0]) if name else None
        if row is not None and (not two or len(key) == 1):
            if len(name) == 1:
                return row, None
            if row[1]:
                return row, name[1:]
        return self.find_unusual(word, name, key, argument, two)

    def fit(self, row, argument, word):
        """(row, argument) of a long option; LinkError when it takes none and got one."""
        if argument is not None and not row[1]:
            raise LinkError(f"option '{word}' takes no argument")
        return row, argument

    def find_unusual(self, word, name, key, argument, two):
        """Families of options and unambiguous abbreviations (--gc-sec), or LinkError."""
        from mclink.options.ignored import PREFIXES
        for prefix, row in PREFIXES:
            if name.startswith(prefix):
                return row, argument
        if two and len(key) > 1:
            names = [full for full in self.index if full.startswith(key)]
            rows = [self.index[full] for full in names]
            if rows and all(row is rows[0] for row in rows):
                return self.fit(rows[0], argument, word)
            if rows:
                raise LinkError(f"option '{word}' is ambiguous: --{', --'.join(sorted(names))}")
        from mclink.options.help import nearest_option
        hint = nearest_option(word, self.index)
        raise LinkError(f"unknown option '{word}'" + (f"\n>>> did you mean: {hint}" if hint else ""))

    def load_table(self):
        if not self.complete:
            from mclink.options.table import load_all
            build_index(load_all(), self.index)
            self.complete = True

    # -- what rows ask for

    def act(self, row, argument, word):
        action, name, value = row[2], row[3], row[4]
        options = self.options
        if action == "set":
            setattr(options, name, value)
        elif action == "state":
            self.builder.change(name, value)
            if name == "static":
                options.static = value
        elif action == "str":
            setattr(options, name, argument)
        elif action == "append":
            getattr(options, name).append(argument if argument is not None else word)
        elif action == "none":
            pass
        elif action == "choice":
            if argument not in value.split():
                raise LinkError(f"option '{word}': unknown value '{argument}' "
                                f"(one of: {', '.join(value.split())})")
            if name is not None:
                setattr(options, name, argument)
        elif action == "int":
            sign = -1 if argument[:1] == "-" else 1
            setattr(options, name, sign * parse_number(argument.lstrip("-"), word))
        elif action == "hex":
            setattr(options, name, parse_hex(argument, word))
        else:
            getattr(self, action)(name, value, argument, word)

    def warn(self, text):
        self.options.early_messages.append(("warning", text))

    # -- handlers: output

    def on_action(self, name, value, argument, word):
        self.options.action = value
        if value in ("help", "target-help", "version", "print-gcc-dir"):
            raise _Stop

    def on_emulation(self, name, value, argument, word):
        self.options.emulation = argument

    def on_build_id(self, name, value, argument, word):
        style = argument or "sha1"
        if style == "none":
            self.options.build_id = None
        elif style in ("fast", "md5", "sha1", "sha256", "tree", "uuid"):
            self.options.build_id = style
        elif style[:2] in ("0x", "0X"):
            # GNU ld allows "-" and ":" between bytes.
            digits = style[2:].replace("-", "").replace(":", "")
            if not digits or len(digits) % 2 or digits.strip("0123456789abcdefABCDEF"):
                raise LinkError(f"option '{word}': needs an even number of hexadecimal digits")
            self.options.build_id = "0x" + digits.lower()
        else:
            self.warn("unrecognized --build-id style ignored")

    def on_optimize(self, name, value, argument, word):
        # A bare -O is -O1; other words than numbers are lld's and mean nothing here.
        text = argument if argument else "1"
        self.options.optimize = int(text) if text.isdigit() else 1

    def on_dynamic_linker(self, name, value, argument, word):
        self.options.dynamic_linker = argument
        self.options.no_dynamic_linker = False

    def on_soname(self, name, value, argument, word):
        self.options.soname = argument or None

    def on_nmagic(self, name, value, argument, word):
        # Neither can page data in, so both end the search for shared libraries (GNU ld manual). The last one holds.
        self.options.omagic = name == "omagic"
        self.options.nmagic = name == "nmagic"
        self.builder.change("static", True)
        self.options.static = True

    def on_section_start(self, name, value, argument, word):
        self.options.segment_start[name] = self.start_section(name, parse_hex(argument, word))

    def start_section(self, name, address):
        if not self.options.scripts and name not in self.options.early_sections:
            self.options.early_sections.append(name)
        self.options.section_start[name] = address
        return address

    def on_segment_start(self, name, value, argument, word):
        self.options.segment_start[name] = parse_hex(argument, word)

    def on_named_section_start(self, name, value, argument, word):
        section, equals, address = argument.rpartition("=")
        if not section:
            raise LinkError(f"option '{word}': needs SECTION=ADDRESS, not '{argument}'")
        self.start_section(section, parse_hex(address, word))

    def on_address(self, name, value, argument, word):
        setattr(self.options, name, parse_number(argument, word))

    def on_package_metadata(self, name, value, argument, word):
        self.options.package_metadata = decode_percent(argument) if argument else None

    def on_compress_debug(self, name, value, argument, word):
        self.options.compress_debug = self.compression(argument or "zlib", word)

    def on_compress_sections(self, name, value, argument, word):
        glob, equals, style = argument.rpartition("=")
        if not glob:
            raise LinkError(f"option '{word}': needs GLOB=STYLE, not '{argument}'")
        self.options.compress_sections.append((glob, *self.compression(style, word)))

    def compression(self, text, word):
        style, colon, level = text.partition(":")
        if style == "zlib-gabi":
            style = "zlib"
        if style not in ("none", "zlib", "zlib-gnu", "zstd"):
            raise LinkError(f"option '{word}': unknown compression '{style}' "
                            "(one of: none, zlib, zlib-gabi, zlib-gnu, zstd)")
        if not colon:
            return style, None
        number = parse_number(level, word)
        if style == "none" or number > (22 if style == "zstd" else 9):
            raise LinkError(f"option '{word}': no such compression level: {level}")
        return style, number

    def on_optional_size(self, name, value, argument, word):
        setattr(self.options, name, parse_number(argument, word) if argument else 0)

    def on_optional_text(self, name, value, argument, word):
        setattr(self.options, name, argument or "")

    # -- handlers: dynamic linking and symbols

    def on_rpath(self, name, value, argument, word):
        if argument and argument not in self.options.rpath:
            self.options.rpath.append(argument)

    def on_rpath_link(self, name, value, argument, word):
        self.options.rpath_link.extend(part for part in argument.split(":") if part)

    def on_r(self, name, value, argument, word):
        import posix
        try:
            # S_IFMT, S_IFDIR. What does not exist is a folder of the target, as in GNU ld.
            folder = posix.stat(argument).st_mode & 0o170000 == 0o040000
        except (OSError, ValueError):
            folder = True
        if folder:
            self.on_rpath(name, value, argument, word)
        else:
            self.on_just_symbols(name, value, argument, word)

    def on_exclude_libs(self, name, value, argument, word):
        self.options.exclude_libs.extend(
            part for part in argument.replace(":", ",").split(",") if part)

    def on_unique(self, name, value, argument, word):
        values = getattr(self.options, name)
        if argument not in values:
            values.append(argument)

    def on_defsym(self, name, value, argument, word):
        symbol, equals, expression = argument.partition("=")
        symbol, expression = symbol.strip(), expression.strip()
        if not symbol or not expression:
            raise LinkError(f"option '{word}': needs SYMBOL=EXPRESSION, not '{argument}'")
        node = self.builder.add(DefsymNode, symbol, expression)
        self.options.defsym.append((symbol, expression, node.position))

    def on_unresolved(self, name, value, argument, word):
        methods = {
            "ignore-all": ("ignore", "ignore"),
            "report-all": ("error", "error"),
            "ignore-in-object-files": ("ignore", "error"),
            "ignore-in-shared-libs": ("error", "ignore"),
        }
        if argument not in methods:
            raise LinkError(f"option '{word}': unknown value '{argument}' "
                            f"(one of: {', '.join(methods)})")
        self.options.unresolved_in_objects, self.options.unresolved_in_shared = methods[argument]

    def on_unresolved_severity(self, name, value, argument, word):
        self.severity = value

    def on_sort_common(self, name, value, argument, word):
        if argument not in (None, "", "descending", "ascending", "none"):
            raise LinkError(f"option '{word}': unknown value '{argument}' "
                            "(one of: descending, ascending, none)")
        self.options.sort_common = None if argument == "none" else (argument or "descending")

    def on_demangle(self, name, value, argument, word):
        self.options.demangle = argument != "none"

    # -- handlers: sections

    def on_unique_sections(self, name, value, argument, word):
        if self.options.unique is None:
            self.options.unique = []
        if argument:
            self.options.unique.append(argument)

    def on_flag(self, name, value, argument, word):
        setattr(self.options, name, argument != "none")

    def on_shuffle(self, name, value, argument, word):
        self.options.shuffle_sections.append(argument or "*=0")

    # -- handlers: inputs

    def on_library(self, name, value, argument, word):
        if not argument:
            raise LinkError("option '-l' needs the name of a library")
        self.builder.add(LibraryNode, argument)

    def on_script(self, name, value, argument, word):
        self.options.scripts.append(argument)
        self.builder.add(ScriptNode, argument)

    def on_just_symbols(self, name, value, argument, word):
        self.builder.add(JustSymbolsNode, argument)

    def on_format(self, name, value, argument, word):
        self.builder.change("format", None if argument == "default" else argument)

    def on_hpux(self, name, value, argument, word):
        if argument not in ("archive", "shared", "default"):
            raise LinkError(f"unrecognized -a option '{argument}'")
        self.builder.change("static", argument == "archive")
        self.options.static = argument == "archive"

    def on_pair(self, name, value, argument, word):
        left, equals, right = argument.partition("=")
        if not left or not right:
            raise LinkError(f"option '{word}': needs GLOB=FILE, not '{argument}'")
        getattr(self.options, name).append((left, right))

    def on_push_state(self, name, value, argument, word):
        self.builder.push_state()

    def on_pop_state(self, name, value, argument, word):
        if not self.builder.pop_state():
            raise LinkError("--pop-state without --push-state")

    def on_start_group(self, name, value, argument, word):
        if not self.builder.open(GroupNode):
            raise LinkError("may not nest groups")

    def on_end_group(self, name, value, argument, word):
        if not self.builder.close(GroupNode):
            raise LinkError("--end-group without --start-group")

    def on_start_lib(self, name, value, argument, word):
        if not self.builder.open(LibNode):
            raise LinkError("may not nest --start-lib")

    def on_end_lib(self, name, value, argument, word):
        if not self.builder.close(LibNode):
            raise LinkError("--end-lib without --start-lib")

    # -- handlers: messages and resources

    def on_colour(self, name, value, argument, word):
        when = argument or "always"
        if when not in ("always", "auto", "never"):
            raise LinkError(f"option '{word}': unknown value '{when}' (one of: always, auto, never)")
        self.options.color_diagnostics = when

    def on_trace(self, name, value, argument, word):
        self.options.trace += 1

    def on_verbose(self, name, value, argument, word):
        self.options.verbose = parse_number(argument, word) if argument else 1

    def on_threads(self, name, value, argument, word):
        number = parse_number(argument, word) if argument else 0
        self.options.threads = min(number, 256) or None

    # -- handlers: -z

    def on_z(self, name, value, argument, word):
        if self.zwords is None:
            from mclink.options.zwords import ZWORDS
            self.zwords = {row[0]: row for row in ZWORDS}
        keyword, equals, text = argument.partition("=")
        row = self.zwords.get(keyword)
        if row is None or bool(row[1]) != bool(equals):
            self.warn(f"-z {argument} ignored")
            return
        self.options.given[-1] = (f"-z {argument}", row, text or None)
        self.act(row, text, f"-z {argument}")

    def on_z_now(self, name, value, argument, word):
        self.options.z_now = value

    def df(self, name, value, argument, word):
        self.options.z_df |= value

    def df1(self, name, value, argument, word):
        self.options.z_df_1 |= value

    def undf1(self, name, value, argument, word):
        self.options.z_df_1 &= ~value

    def report(self, name, value, argument, word):
        if argument not in ("none", "warning", "error"):
            raise LinkError(f"option '{word}': unknown value '{argument}' (one of: none, warning, error)")
        self.options.z_reports[name] = argument

    def on_z_size(self, name, value, argument, word):
        setattr(self.options, name, parse_number(argument, word))

    def on_z_page(self, name, value, argument, word):
        size = parse_number(argument, word)
        if size == 0 or size & (size - 1):
            raise LinkError(f"{word}: a page size is a power of two")
        setattr(self.options, name, size)

    def on_z_dead(self, name, value, argument, word):
        glob, equals, number = argument.rpartition("=")
        if not glob:
            raise LinkError(f"{word}: needs GLOB=VALUE")
        self.options.z_dead_reloc.append((glob, parse_number(number, word)))

    def on_force_ibt(self, name, value, argument, word):
        self.options.z_ibt = True
        self.options.z_ibtplt = True
        self.options.z_reports.setdefault("cet-report", "warning")

    # -- handlers: single targets

    def on_a53(self, name, value, argument, word):
        if argument not in (None, "full", "adr", "adrp"):
            raise LinkError(f"option '{word}': unknown value '{argument}' (one of: full, adr, adrp)")
        self.options.fix_cortex_a53_843419 = argument or "full"

    def on_stm32(self, name, value, argument, word):
        if argument not in (None, "none", "default", "all"):
            raise LinkError(f"option '{word}': unknown value '{argument}' (one of: none, default, all)")
        self.options.stm32l4xx_fix = argument or "default"

    def on_power10(self, name, value, argument, word):
        if argument not in (None, "yes", "no", "auto"):
            raise LinkError(f"option '{word}': unknown value '{argument}' (one of: yes, no, auto)")
        self.options.power10_stubs = argument or "yes"

    # -- the end

    def finish(self):
        """The Options, with everything settled that needs the whole line."""
        options = self.options
        options.tree, left_open = self.builder.finish()
        if GroupNode in left_open:
            options.early_messages.append(
                ("note", "missing --end-group; added as last command line option"))
        if LibNode in left_open:
            options.early_messages.append(
                ("note", "missing --end-lib; added as last command line option"))
        kind = options.output_kind
        options.shared = kind == "shared"
        options.pie = kind == "pie"
        options.relocatable = kind == "relocatable"
        options.program_target = program_target(options.program)
        options.library_paths = [
            replace_sysroot(path, options.sysroot) for path in options.library_paths]
        self.finish_unresolved(kind in ("exec", "pie"))
        self.finish_environment()
        return options

    def finish_unresolved(self, executable):
        """Defaults of GNU ld: an executable must be complete, a library need not be."""
        options = self.options
        for name in ("unresolved_in_objects", "unresolved_in_shared"):
            how = getattr(options, name)
            if how is None:
                how = "error" if executable else "ignore"
            if how == "error":
                how = self.severity
            setattr(options, name, how)

    def finish_environment(self):
        """LDEMULATION and LD_RUN_PATH (GNU ld manual, Environment Variables and -rpath)."""
        import posix
        options = self.options
        environment = posix.environ
        if options.emulation is None and b"LDEMULATION" in environment:
            options.emulation = environment[b"LDEMULATION"].decode("utf-8", "surrogateescape")
        if not options.rpath and environment.get(b"LD_RUN_PATH"):
            options.rpath.append(environment[b"LD_RUN_PATH"].decode("utf-8", "surrogateescape"))


def replace_sysroot(path, sysroot):
    """`path` with a leading "=" or "$SYSROOT" replaced by `sysroot` (GNU ld manual, -L)."""
    if path[:1] == "=":
        return sysroot + path[1:]
    if path.startswith("$SYSROOT"):
        return sysroot + path[8:]
    return path


def program_target(program):
    """The triple in front of "-ld" in argv[0] (x86_64--netbsd-ld), or None."""
    base = program.rpartition("/")[2]
    for end in ("-ld", "-ld.mclink", "-ld.bfd", "-ld.gold", "-ld.lld", "-mclink"):
        if base.endswith(end):
            return base[:-len(end)] or None
    return None


def decode_percent(text):
    """`text` with %XX and %[name] replaced (systemd's ELF package metadata, for gcc's -Wl,)."""
    if "%" not in text:
        return text
    names = {"comma": ",", "lbrace": "{", "rbrace": "}", "quot": '"', "space": " "}
    parts = text.split("%")
    result = parts[0]
    for part in parts[1:]:
        if part[:1] == "[":
            name, bracket, rest = part[1:].partition("]")
            if bracket and name in names:
                result += names[name] + rest
                continue
        pair = part[:2]
        if len(pair) == 2 and not pair.strip("0123456789abcdefABCDEF"):
            result += chr(int(pair, 16)) + part[2:]
        else:
            result += "%" + part
    return result
