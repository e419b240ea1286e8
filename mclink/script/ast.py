"""The syntax tree of a linker script: plain nested tuples of str, int and bytes.

The tree holds nothing else, so ``marshal`` can store it: the parsed default scripts of a target are
kept that way and cost no parsing at start-up.  Whoever walks the tree dispatches on ``node[0]``, one
of the upper-case strings below, and unpacks the rest in the order given here.

Source: GNU ld manual, node "Scripts" and its children; CLASS, ASCIZ, REVERSE and LINKER_VERSION are
those of binutils 2.41 to 2.44.

Positions
    ``pos`` is always ``node[1]``: an int that ``sources.Sources.locate`` turns into file, line and
    column.  It is unique over all the scripts of one link; 0 is "no position".

Names
    str, decoded from the script as UTF-8 with surrogateescape; ``name.encode("utf-8",
    "surrogateescape")`` gives back the bytes of the file.  Quotes are gone.

Expressions
    int                                  a literal, 0 <= n < 2**64, a number without section
    (NAME, pos, name)                    a symbol
    (DOT, pos)                           the location counter
    (op, pos, a)                         op one of UNARY: "neg" "pos" "~" "!"
    (op, pos, a, b)                      op one of BINARY: * / % + - << >> < > <= >= == != & ^ | && ||
    ("?:", pos, condition, yes, no)
    ("ABSOLUTE" | "NEXT" | "LOG2CEIL" | "DATA_SEGMENT_END", pos, expr)
    ("ALIGN", pos, align)                the location counter aligned; BLOCK(e) is this too
    ("ALIGN2", pos, expr, align)         ALIGN(expr, align)
    ("MAX" | "MIN" | "DATA_SEGMENT_ALIGN" | "DATA_SEGMENT_RELRO_END", pos, a, b)
    ("ADDR" | "LOADADDR" | "SIZEOF" | "ALIGNOF", pos, section)   section: a name
    ("SIZEOF_HEADERS", pos)
    ("DEFINED", pos, symbol)
    ("ORIGIN" | "LENGTH", pos, region)
    ("CONSTANT", pos, "MAXPAGESIZE" | "COMMONPAGESIZE")
    ("SEGMENT_START", pos, segment, default)
    (ASSERT, pos, expr, message)         value of expr, an error when it is 0

Statements that may stand anywhere (top level, in SECTIONS, in an output section)
    (ASSIGN, pos, name, expr, how)       name "." is the location counter.  ``a += b`` and the other
                                         compound forms arrive as ``a = a + b``.
                                         how: one of PLAIN PROVIDE PROVIDE_HIDDEN HIDDEN
    (ASSERT, pos, expr, message)
    (ENTRY, pos, symbol)                 symbol: a name, or a number as it was written

Top-level commands (INCLUDE is spliced in by the parser and never seen here)
    (OUTPUT_FORMAT, pos, default, big, little)     big and little None in the one-argument form
    (OUTPUT_ARCH, pos, name)             "i386:x86-64"
    (OUTPUT, pos, file)
    (SEARCH_DIR, pos, folder)            a leading "=" or "$SYSROOT" is kept
    (STARTUP, pos, file)
    (TARGET, pos, bfd_name)
    (INPUT | GROUP, pos, items)          item: (FILE, pos, name) | (LIBRARY, pos, name)  for -lname
                                               | (AS_NEEDED, pos, items)
    (EXTERN, pos, names)
    (VERSION, pos, nodes)                nodes: as version_script.parse_nodes returns them
    (MEMORY, pos, regions)               region: (name, pos, attributes, inverted, origin, length)
                                         attributes, inverted: str of the letters r w x a i l in
                                         lower case, those before and those after a "!"
    (REGION_ALIAS, pos, alias, region)
    (PHDRS, pos, headers)                header: (name, pos, type, filehdr, phdrs, at, flags)
                                         type: expr (a PT_ name is already its number);
                                         filehdr, phdrs: 0 or 1; at, flags: expr or None
    (SECTIONS, pos, statements)
    (INSERT, pos, "AFTER" | "BEFORE", section)
                                         applies to every SECTIONS statement before it in the script
    (NOCROSSREFS | NOCROSSREFS_TO, pos, sections)
    (FORCE_COMMON_ALLOCATION | INHIBIT_COMMON_ALLOCATION | FORCE_GROUP_ALLOCATION, pos)
    (LD_FEATURE, pos, name)

Statements in SECTIONS, besides ASSIGN, ASSERT and ENTRY
    (OUTSEC, pos, name, constraint, address, kind, type, at, align, subalign, body,
     region, lma_region, phdrs, fill)
        name         "/DISCARD/" drops what it matches
        constraint   bits: ONLY_IF_RO ONLY_IF_RW ALIGN_WITH_INPUT SPECIAL
        address      expr or None
        kind         "" "NOLOAD" "DSECT" "COPY" "INFO" "OVERLAY" "READONLY"
        type         expr of TYPE=, or None (an SHT_ name is already its number)
        at, align, subalign                expr or None
        region, lma_region                 name or None: >region, AT>region
        phdrs        names, as written after ":"; "NONE" is among them unchanged; () when none
        fill         see Fill; None when there is no "="
    (OVERLAY, pos, address, nocrossrefs, at, subalign, members, region, lma_region, phdrs, fill)
        nocrossrefs  0 or 1
        member       (name, pos, body, phdrs, fill)
    (CLASS, pos, name, body)             CLASS(name) : { patterns }

Statements in an output section, besides ASSIGN, ASSERT and ENTRY
    (PATTERN, pos, keep, file, sections, with_flags, without_flags)
        keep         0 or 1
        file         (pattern, sort, excludes)
                     pattern: "*", "*crt1.o", "lib.a:member.o", "lib.a:", ":file.o"; split_archive()
                     takes it apart.  A name without wildcard characters that is not yet an input
                     becomes one, as if it stood on the command line.
                     sort: one of the SORT_ values; excludes: file patterns
        sections     of (pattern, pos, sort, excludes); () means every section of the file.
                     Patterns of one statement keep input order among themselves, separate
                     statements do not.  COMMON and LARGE_COMMON are the names of the commons.
        with_flags, without_flags          ints, SHF_ bits of INPUT_SECTION_FLAGS
    (CLASS_REF, pos, name)               CLASS(name)
    (DATA, pos, size, expr)              size 1, 2, 4, 8 for BYTE SHORT LONG QUAD; -8 for SQUAD
    (ASCIZ, pos, data)                   bytes, the final NUL included
    (FILL, pos, fill)                    see Fill; holds from here to the end of the section
    (CONSTRUCTORS, pos, sorted)          sorted: 1 for SORT(CONSTRUCTORS)
    (CREATE_OBJECT_SYMBOLS, pos)
    (LINKER_VERSION, pos)

Fill
    bytes        the pattern as it is: a hex literal gives its digits, leading zeros included
    expression   the pattern is the low four bytes of its value, most significant first
"""

# expressions
NAME = "NAME"
DOT = "DOT"
UNARY = ("neg", "pos", "~", "!")
BINARY = ("*", "/", "%", "+", "-", "<<", ">>", "<", ">", "<=", ">=", "==", "!=",
          "&", "^", "|", "&&", "||")
CONDITIONAL = "?:"

# statements anywhere
ASSIGN = "ASSIGN"
ASSERT = "ASSERT"
ENTRY = "ENTRY"

# ASSIGN, how
PLAIN = 0
PROVIDE = 1
PROVIDE_HIDDEN = 2
HIDDEN = 3

# top level
OUTPUT_FORMAT = "OUTPUT_FORMAT"
OUTPUT_ARCH = "OUTPUT_ARCH"
OUTPUT = "OUTPUT"
SEARCH_DIR = "SEARCH_DIR"
STARTUP = "STARTUP"
TARGET = "TARGET"
INPUT = "INPUT"
GROUP = "GROUP"
AS_NEEDED = "AS_NEEDED"
FILE = "FILE"
LIBRARY = "LIBRARY"
EXTERN = "EXTERN"
VERSION = "VERSION"
MEMORY = "MEMORY"
REGION_ALIAS = "REGION_ALIAS"
PHDRS = "PHDRS"
SECTIONS = "SECTIONS"
INSERT = "INSERT"
NOCROSSREFS = "NOCROSSREFS"
NOCROSSREFS_TO = "NOCROSSREFS_TO"
FORCE_COMMON_ALLOCATION = "FORCE_COMMON_ALLOCATION"
INHIBIT_COMMON_ALLOCATION = "INHIBIT_COMMON_ALLOCATION"
FORCE_GROUP_ALLOCATION = "FORCE_GROUP_ALLOCATION"
LD_FEATURE = "LD_FEATURE"

# in SECTIONS
OUTSEC = "OUTSEC"
OVERLAY = "OVERLAY"
CLASS = "CLASS"

# OUTSEC, constraint
ONLY_IF_RO = 1
ONLY_IF_RW = 2
ALIGN_WITH_INPUT = 4
SPECIAL = 8

# in an output section
PATTERN = "PATTERN"
CLASS_REF = "CLASS_REF"
DATA = "DATA"
ASCIZ = "ASCIZ"
FILL = "FILL"
CONSTRUCTORS = "CONSTRUCTORS"
CREATE_OBJECT_SYMBOLS = "CREATE_OBJECT_SYMBOLS"
LINKER_VERSION = "LINKER_VERSION"

# PATTERN, sort.  SORT is SORT_NAME.  --sort-section applies where the value is SORT_UNSET, and inside
# a single SORT_NAME or SORT_ALIGNMENT when it names the other key; SORT_NONE shuts it out.
SORT_UNSET = 0
SORT_NAME = 1
SORT_ALIGNMENT = 2
SORT_NAME_ALIGNMENT = 3       # SORT_BY_NAME(SORT_BY_ALIGNMENT(...)): equal names by alignment
SORT_ALIGNMENT_NAME = 4       # SORT_BY_ALIGNMENT(SORT_BY_NAME(...)): equal alignments by name
SORT_NONE = 5
SORT_INIT_PRIORITY = 6
SORT_REVERSE = 8              # bit, added to one of the above by REVERSE

DISCARD_NAME = "/DISCARD/"


def split_archive(pattern):
    """Take a file pattern apart: (archive, member).

    archive is None for a pattern without ":", which is matched against a file's name (for an archive
    member, the member's name).  "a:m" matches m inside archives that match a; "a:" gives member None,
    every member of a; ":m" gives archive "", a file m that is in no archive.
    GNU ld manual, node "Input Section Basics".
    """
    head, colon, tail = pattern.partition(":")
    if not colon:
        return None, pattern
    return head, tail or None


def expression_names(expr, found):
    """Add to the list *found* the symbol names that expression *expr* reads, DEFINED() left out."""
    if type(expr) is not tuple:
        return
    kind = expr[0]
    if kind == NAME:
        found.append(expr[2])
    elif kind != "DEFINED":
        for part in expr[2:]:
            if type(part) is tuple:
                expression_names(part, found)
