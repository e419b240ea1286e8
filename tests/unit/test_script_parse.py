"""The parser of linker scripts: trees, positions, errors."""

import random

import pytest

from mclink.diag import LinkError
from mclink.script import ast
from mclink.script.expression import parse_expression
from mclink.script.parser import parse_script
from mclink.script.sources import BUILTIN_END, Sources


def bare(node):
    """A tree without its positions."""
    if type(node) is not tuple:
        return node
    if len(node) > 1 and type(node[0]) is str and type(node[1]) is int and node[1] >= BUILTIN_END:
        node = node[:1] + node[2:]
    return tuple(bare(part) for part in node)


def parse(text, **options):
    return bare(parse_script(text, "t.ld", Sources(), **options))


def in_section(text):
    ((_, (section,)),) = parse(f"SECTIONS {{ .o : {{ {text} }} }}")
    return section[9]


def output_section(text):
    ((_, (section,)),) = parse(f"SECTIONS {{ {text} }}")
    return dict(zip(("name", "constraint", "address", "kind", "type", "at", "align", "subalign",
                     "body", "region", "lma_region", "phdrs", "fill"), section[1:]))


def expression(text):
    return bare(parse_expression(text, "e", Sources()))


def name(text):
    return ("NAME", text)


@pytest.mark.parametrize("text, value", [
    ("0", 0), ("10", 10), ("010", 8), ("0x1F", 31), ("0X1f", 31), ("$1f", 31), ("1fh", 31),
    ("1FX", 31), ("0ffH", 255), ("101b", 5), ("17o", 15), ("12d", 12), ("4K", 4096), ("4k", 4096),
    ("2M", 2 << 20), ("0x10K", 16384), ("$10K", 16384), ("010K", 8192), ("0x10b", 0x10b), ("0b", 0),
    ("0xffffffffffffffff", 2**64 - 1),
])
def test_literals(text, value):
    assert expression(text) == value


@pytest.mark.parametrize("text", ["0x", "089", "3b", "9o", "12g", "0x1g", "12Kh", "1_0",
                                  "0x10000000000000000", "99999999999999999999", "9" * 6000, "٣"])
def test_bad_literals(text):
    with pytest.raises(LinkError):
        expression(text)


@pytest.mark.parametrize("text, tree", [
    ("1 + 2 * 3", ("+", 1, ("*", 2, 3))),
    ("1 - 2 - 3", ("-", ("-", 1, 2), 3)),
    ("a-b", ("-", name("a"), name("b"))),
    ("a/b", name("a/b")),
    ("a / b", ("/", name("a"), name("b"))),
    ("8/2", ("/", 8, 2)),
    ("a ? b : c ? 1:2", ("?:", name("a"), name("b"), ("?:", name("c"), 1, 2))),
    ("a<<2>=3&&b||c", ("||", ("&&", (">=", ("<<", name("a"), 2), 3), name("b")), name("c"))),
    ("1|2^3&4==5", ("|", 1, ("^", 2, ("&", 3, ("==", 4, 5))))),
    ("-~!+x", ("neg", ("~", ("!", ("pos", name("x")))))),
    (". + 4", ("+", ("DOT",), 4)),
    ('"a b"+1', ("+", name("a b"), 1)),
    (".text.foo$x", name(".text.foo$x")),
    ("ALIGN(8)", ("ALIGN", 8)),
    ("ALIGN(., 8)", ("ALIGN2", ("DOT",), 8)),
    ("BLOCK(8)", ("ALIGN", 8)),
    ("SIZEOF(.foo-bar+x)/4", ("/", ("SIZEOF", ".foo-bar+x"), 4)),
    ("sizeof_headers + SIZEOF_HEADERS", ("+", ("SIZEOF_HEADERS",), ("SIZEOF_HEADERS",))),
    ("SIZEOF + 1", ("+", name("SIZEOF"), 1)),
    ('SEGMENT_START("text-segment", 0x10)', ("SEGMENT_START", "text-segment", 16)),
    ("DATA_SEGMENT_RELRO_END(0, .)", ("DATA_SEGMENT_RELRO_END", 0, ("DOT",))),
    ("CONSTANT (MAXPAGESIZE)", ("CONSTANT", "MAXPAGESIZE")),
    ('ASSERT(a, "no a")', ("ASSERT", name("a"), "no a")),
    ("MAX(1, MIN(2, LOG2CEIL(3)))", ("MAX", 1, ("MIN", 2, ("LOG2CEIL", 3)))),
    ("add + each", ("+", name("add"), name("each"))),
    ("$ + $g", ("+", name("$"), name("$g"))),
])
def test_expressions(text, tree):
    assert expression(text) == tree


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "<<", ">>", "&", "|", "^"])
@pytest.mark.parametrize("blank", ["", " "])
def test_compound_assignment(operator, blank):
    (statement,) = parse(f"x{blank}{operator}={blank}3;")
    assert statement == ("ASSIGN", "x", (operator, name("x"), 3), ast.PLAIN)


@pytest.mark.parametrize("text, tree", [
    ("x=3;", ("ASSIGN", "x", 3, 0)),
    (".=.+3;", ("ASSIGN", ".", ("+", ("DOT",), 3), 0)),
    ("a-b+c = 3;", ("ASSIGN", "a-b+c", 3, 0)),
    ('"a = b" = 3;', ("ASSIGN", "a = b", 3, 0)),
    ("PROVIDE(x = 3)", ("ASSIGN", "x", 3, ast.PROVIDE)),
    ("PROVIDE_HIDDEN(x=3);", ("ASSIGN", "x", 3, ast.PROVIDE_HIDDEN)),
    ("HIDDEN ( x += 3 ) ;", ("ASSIGN", "x", ("+", name("x"), 3), ast.HIDDEN)),
    ('ASSERT(x, "m")', ("ASSERT", name("x"), "m")),
    ("ENTRY(a-b)", ("ENTRY", "a-b")),
    ("ENTRY(0x1000)", ("ENTRY", "0x1000")),
    ('OUTPUT_FORMAT("a")', ("OUTPUT_FORMAT", "a", None, None)),
    ("OUTPUT_FORMAT(elf64-x86-64,b, c)", ("OUTPUT_FORMAT", "elf64-x86-64", "b", "c")),
    ("OUTPUT_ARCH(i386:x86-64)", ("OUTPUT_ARCH", "i386:x86-64")),
    ("OUTPUT(foo-bar.out)", ("OUTPUT", "foo-bar.out")),
    ('SEARCH_DIR("=/lib")', ("SEARCH_DIR", "=/lib")),
    ("SEARCH_DIR(=/lib);", ("SEARCH_DIR", "=/lib")),
    ("STARTUP(crt0.o)", ("STARTUP", "crt0.o")),
    ("TARGET(binary)", ("TARGET", "binary")),
    ("EXTERN(a b,c)", ("EXTERN", ("a", "b", "c"))),
    ("REGION_ALIAS(\"A\", b)", ("REGION_ALIAS", "A", "b")),
    ("NOCROSSREFS(.a .b)", ("NOCROSSREFS", (".a", ".b"))),
    ("NOCROSSREFS_TO(.a .b)", ("NOCROSSREFS_TO", (".a", ".b"))),
    ("FORCE_COMMON_ALLOCATION", ("FORCE_COMMON_ALLOCATION",)),
    ("INHIBIT_COMMON_ALLOCATION", ("INHIBIT_COMMON_ALLOCATION",)),
    ("FORCE_GROUP_ALLOCATION", ("FORCE_GROUP_ALLOCATION",)),
    ('LD_FEATURE("SANE_EXPR")', ("LD_FEATURE", "SANE_EXPR")),
    ("INSERT AFTER .text;", ("INSERT", "AFTER", ".text")),
    ("INSERT BEFORE .data", ("INSERT", "BEFORE", ".data")),
    ("INPUT(a.o,b.o -lc -l m \"c d\" =/x $SYSROOT/y)",
     ("INPUT", (("FILE", "a.o"), ("FILE", "b.o"), ("LIBRARY", "c"), ("LIBRARY", "m"),
                ("FILE", "c d"), ("FILE", "=/x"), ("FILE", "$SYSROOT/y")))),
    ("GROUP(/lib/libc.so.6 AS_NEEDED(-lx))",
     ("GROUP", (("FILE", "/lib/libc.so.6"), ("AS_NEEDED", (("LIBRARY", "x"),))))),
    ("MEMORY { r (rx!w) : ORIGIN = 0x10, LENGTH = 1K q : o=1,l=2 s(!W):len = 3 org = ORIGIN(r) }",
     ("MEMORY", (("r", "rx", "w", 16, 1024), ("q", "", "", 1, 2),
                 ("s", "", "w", ("ORIGIN", "r"), 3)))),
    ("PHDRS { t PT_LOAD FILEHDR PHDRS AT(1) FLAGS(5); d 7; e PT_GNU_STACK FLAGS(4|2); }",
     ("PHDRS", (("t", 1, 1, 1, 1, 5), ("d", 7, 0, 0, None, None),
                ("e", 0x6474e551, 0, 0, None, ("|", 4, 2))))),
    ("VERSION { V1 { global: a; local: *; }; }",
     ("VERSION", (("V1", (("a", 0, "C", 1), ("*", 1, "C", 0)), ()),))),
])
def test_commands(text, tree):
    assert parse(text) == (tree,)


@pytest.mark.parametrize("text, changed", [
    (".t : { }", {}),
    (".t:{}", {}),
    (".t 0x100 : { }", {"address": 256}),
    (".t 0 :{}", {"address": 0}),
    (".t (3+4) : {}", {"address": ("+", 3, 4)}),
    (".t ALIGN(16) : {}", {"address": ("ALIGN", 16)}),
    (".t a ? 1 : 2 : {}", {"address": ("?:", name("a"), 1, 2)}),
    (".t BIND(0x100) : {}", {"address": 256}),
    (".t BIND(0x100) BLOCK(4) : {}", {"address": 256}),
    (".t BLOCK(4) (NOLOAD) : {}", {"address": ("ALIGN", 4), "kind": "NOLOAD"}),
    *[(f".t ({kind}) : {{}}", {"kind": kind}) for kind in
      ("NOLOAD", "DSECT", "COPY", "INFO", "OVERLAY", "READONLY")],
    (".t () : {}", {}),
    (".t 4 (INFO) : {}", {"address": 4, "kind": "INFO"}),
    (".t (TYPE = SHT_NOTE) : {}", {"type": 7}),
    (".t (TYPE=1+2) : {}", {"type": ("+", 1, 2)}),
    (".t (READONLY (TYPE = 7)) : {}", {"kind": "READONLY", "type": 7}),
    (".t : AT(1) ALIGN(8) SUBALIGN(4) ONLY_IF_RO {}",
     {"at": 1, "align": 8, "subalign": 4, "constraint": ast.ONLY_IF_RO}),
    (".t : SUBALIGN(4) ALIGN_WITH_INPUT AT ( 1 ) ONLY_IF_RW {}",
     {"at": 1, "subalign": 4, "constraint": ast.ONLY_IF_RW | ast.ALIGN_WITH_INPUT}),
    (".t : SPECIAL {}", {"constraint": ast.SPECIAL}),
    (".t : {} >ram", {"region": "ram"}),
    (".t : {} > ram AT > rom :a :NONE =0x90,",
     {"region": "ram", "lma_region": "rom", "phdrs": ("a", "NONE"), "fill": b"\x90"}),
    (".t : {} AT>rom;", {"lma_region": "rom"}),
    (".t : {} =0x00112233445566", {"fill": bytes.fromhex("00112233445566")}),
    (".t : {} =0x123", {"fill": b"\x01\x23"}),
    (".t : {} =0x90+1", {"fill": ("+", 0x90, 1)}),
    (".t : {} =9090", {"fill": 9090}),
    (".t : {} =$90", {"fill": 0x90}),
    (".t : {} =0x1K", {"fill": 1024}),
])
def test_output_section_attributes(text, changed):
    expected = {"name": ".t", "constraint": 0, "address": None, "kind": "", "type": None, "at": None,
                "align": None, "subalign": None, "body": (), "region": None, "lma_region": None,
                "phdrs": (), "fill": None}
    assert output_section(text) == expected | changed


def test_output_section_names():
    text = ('.a-b+c : {} .foo:bar : {} "x y" : {} /DISCARD/ : {} .z : {} =0x90 /DISCARD/ : {}'
            " .data.$__x_ : {}; AT : {}")
    ((_, sections),) = parse(f"SECTIONS {{ {text} }}")
    assert [section[1] for section in sections] == [
        ".a-b+c", ".foo:bar", "x y", "/DISCARD/", ".z", "/DISCARD/", ".data.$__x_", "AT"]


def pattern(file, *sections, keep=0, sort=0, excludes=(), flags=(0, 0)):
    return ("PATTERN", keep, (file, sort, excludes), sections, *flags)


def section(text, sort=0, excludes=()):
    return text, sort, excludes


@pytest.mark.parametrize("text, tree", [
    ("*(.text .text.*)", pattern("*", section(".text"), section(".text.*"))),
    ("*(.text,.data , .b)", pattern("*", section(".text"), section(".data"), section(".b"))),
    ("a.o", pattern("a.o")),
    ("a.o (COMMON)", pattern("a.o", section("COMMON"))),
    ("*crtbegin?.o(.ctors)", pattern("*crtbegin?.o", section(".ctors"))),
    ("lib*.a:x.o(.t)", pattern("lib*.a:x.o", section(".t"))),
    ("lib.a:", pattern("lib.a:")),
    (":x.o(.t)", pattern(":x.o", section(".t"))),
    ("*(___ksymtab+* .data.$__x* .[!a]b .[^a])",
     pattern("*", *map(section, ("___ksymtab+*", ".data.$__x*", ".[!a]b", ".[^a]")))),
    ('"a b.o"(".x y")', pattern("a b.o", section(".x y"))),
    ("KEEP(*(.a))", pattern("*", section(".a"), keep=1)),
    ("KEEP ( a.o )", pattern("a.o", keep=1)),
    ("EXCLUDE_FILE(a.o b.o) *(.a .b)",
     pattern("*", section(".a"), section(".b"), excludes=("a.o", "b.o"))),
    ("*(EXCLUDE_FILE (*a.o) .a .b)", pattern("*", section(".a", 0, ("*a.o",)), section(".b"))),
    ("SORT(*)(.a)", pattern("*", section(".a"), sort=ast.SORT_NAME)),
    ("SORT_BY_NAME(EXCLUDE_FILE(a.o) *)(.a)",
     pattern("*", section(".a"), sort=ast.SORT_NAME, excludes=("a.o",))),
    ("*(SORT(.a))", pattern("*", section(".a", ast.SORT_NAME))),
    ("*(SORT_BY_ALIGNMENT(.a))", pattern("*", section(".a", ast.SORT_ALIGNMENT))),
    ("*(SORT_BY_INIT_PRIORITY(.a.*) SORT_NONE(.b))",
     pattern("*", section(".a.*", ast.SORT_INIT_PRIORITY), section(".b", ast.SORT_NONE))),
    ("*(SORT_BY_NAME(SORT_BY_ALIGNMENT(.a)))", pattern("*", section(".a", ast.SORT_NAME_ALIGNMENT))),
    ("*(SORT_BY_ALIGNMENT(SORT_BY_NAME(.a)))", pattern("*", section(".a", ast.SORT_ALIGNMENT_NAME))),
    ("*(SORT(SORT(.a)))", pattern("*", section(".a", ast.SORT_NAME))),
    ("*(REVERSE(.a))", pattern("*", section(".a", ast.SORT_NAME | ast.SORT_REVERSE))),
    ("*(REVERSE(SORT_BY_INIT_PRIORITY(.a)))",
     pattern("*", section(".a", ast.SORT_INIT_PRIORITY | ast.SORT_REVERSE))),
    ("*(SORT(REVERSE(.a)))", pattern("*", section(".a", ast.SORT_NAME | ast.SORT_REVERSE))),
    ("*(SORT(EXCLUDE_FILE(*c.o) .a))", pattern("*", section(".a", ast.SORT_NAME, ("*c.o",)))),
    ("INPUT_SECTION_FLAGS(SHF_ALLOC & !SHF_WRITE) *(.a)", pattern("*", section(".a"), flags=(2, 1))),
    ("KEEP(INPUT_SECTION_FLAGS(0x4) EXCLUDE_FILE(a.o) *(.a))",
     pattern("*", section(".a"), keep=1, excludes=("a.o",), flags=(4, 0))),
    ("BYTE(1)", ("DATA", 1, 1)),
    ("SHORT (1+2);", ("DATA", 2, ("+", 1, 2))),
    ("LONG(.)", ("DATA", 4, ("DOT",))),
    ("QUAD(x)", ("DATA", 8, name("x"))),
    ("SQUAD(-1)", ("DATA", -8, ("neg", 1))),
    (r'ASCIZ "a\n\101\"\\é"', ("ASCIZ", "a\nA\"\\é\0".encode())),
    ("FILL(0x90909090)", ("FILL", b"\x90" * 4)),
    ("FILL(1 + 2)", ("FILL", ("+", 1, 2))),
    ("CONSTRUCTORS", ("CONSTRUCTORS", 0)),
    ("SORT(CONSTRUCTORS)", ("CONSTRUCTORS", 1)),
    ("CREATE_OBJECT_SYMBOLS", ("CREATE_OBJECT_SYMBOLS",)),
    ("LINKER_VERSION", ("LINKER_VERSION",)),
    ("CLASS(c)", ("CLASS_REF", "c")),
    ("x = .;", ("ASSIGN", "x", ("DOT",), 0)),
    (". += 4;", ("ASSIGN", ".", ("+", ("DOT",), 4), 0)),
    ("PROVIDE(x = .)", ("ASSIGN", "x", ("DOT",), ast.PROVIDE)),
    ('ASSERT(1, "m")', ("ASSERT", 1, "m")),
])
def test_statements_of_an_output_section(text, tree):
    assert in_section(text) == (tree,)
    assert in_section(f"; {text} ; {text}, *(.z)") == (tree, tree, pattern("*", section(".z")))


def test_overlay():
    ((_, (overlay,)),) = parse(
        "SECTIONS { OVERLAY 0x100 : NOCROSSREFS AT (0x200) SUBALIGN(4)"
        " { .a { *(.a) } .b : { BYTE(1) } :p =0x90 } >r AT>q :s =0x12 }")
    assert overlay == ("OVERLAY", 256, 1, 512, 4,
                       ((".a", (pattern("*", section(".a")),), (), None),
                        (".b", (("DATA", 1, 1),), ("p",), b"\x90")),
                       "r", "q", ("s",), b"\x12")


def test_class_definition():
    ((_, (node,)),) = parse("SECTIONS { CLASS(c) : { *(.a) KEEP(*(.b)) } }")
    assert node == ("CLASS", "c", (pattern("*", section(".a")), pattern("*", section(".b"), keep=1)))


def test_comments_line_markers_and_crlf():
    text = '/* a */# 1 "x.h"\r\nx = 3;\r\n#define y\r\ny/* b */=/*c*/4;\r\n'
    assert parse(text) == (("ASSIGN", "x", 3, 0), ("ASSIGN", "y", 4, 0))


def test_include_everywhere():
    files = {"top": "INCLUDE sub", "sub": "a = 1;", "s": ".a : { INCLUDE in }", "in": "*(.a) INCLUDE k",
             "k": "KEEP(*(.b))", "m": "r : ORIGIN = 1, LENGTH = 2"}
    include = lambda name, pos: (name, files[name])
    assert parse("INCLUDE top MEMORY { INCLUDE m } SECTIONS { INCLUDE s } b = 2;",
                 include=include) == (
        ("ASSIGN", "a", 1, 0), ("MEMORY", (("r", "", "", 1, 2),)),
        ("SECTIONS", (("OUTSEC", ".a", 0, None, "", None, None, None, None,
                       (pattern("*", section(".a")), pattern("*", section(".b"), keep=1)),
                       None, None, (), None),)),
        ("ASSIGN", "b", 2, 0))


def test_include_errors():
    sources = Sources()
    with pytest.raises(LinkError, match=r"inner.ld:2:1: expected ';' but found 'y'"):
        parse_script("\nINCLUDE inner.ld", "outer.ld", sources, lambda n, p: (n, "x = 1\ny = 2;"))
    with pytest.raises(LinkError, match="nested more than"):
        parse_script("INCLUDE a", "a", sources, lambda n, p: (n, "INCLUDE a"))
    with pytest.raises(LinkError, match="expected a statement"):
        parse_script("SECTIONS { INCLUDE a }", "a", sources, lambda n, p: (n, ".a : { } }"))


@pytest.mark.parametrize("text, place, message", [
    ("x = = 3;", "1:5", "expected an expression but found '='"),
    ("x = 3\ny = 4;", "2:1", "expected ';' but found 'y'"),
    ('# 7 "foo.h"\n\nx = ;', "foo.h:8:5", "expected an expression"),
    ("SECTIONS {\n .t { } }", "2:5", "expected an expression but found '{'"),
    ("SECTIONS { .t : { *(.text", "1:26", "but found the end of the file"),
    ("SECTIONS { .t : { ( } }", "1:19", "expected a statement but found '('"),
    ("SECTIONS { .t : FOO { } }", "1:17", "expected '{' but found 'FOO'"),
    ("SECTIONS { .t (FOO) : { } ", "1:27", "expected '}' but found the end of the file"),
    ("SECTIONS { .t : { } (", "1:21", "expected a name but found '('"),
    ("hello world", "1:1", "unknown linker script command 'hello'"),
    ("x = 5; /* foo", "1:8", "this comment does not end"),
    ('x = "a', "1:5", "this quote does not end"),
    ("INCLUDE a", "1:1", "INCLUDE is not allowed here"),
    ("MEMORY { r (rq) : ORIGIN = 1, LENGTH = 2 }", "1:13", "unknown region attribute 'q'"),
    ("MEMORY { r : ORIGIN = 1, ORIGIN = 2 }", "1:26", "expected ORIGIN and LENGTH"),
    ("PHDRS { t PT_LOAD FOO; }", "1:19", "expected ';' but found 'FOO'"),
    ("OUTPUT_FORMAT(a, b)", "1:1", "one name or three"),
    ("SECTIONS { .t : { *(SORT_NONE(SORT_BY_NAME(.x))) } }", "1:43", "cannot be nested"),
    ("SECTIONS { .t : { INPUT_SECTION_FLAGS(SHF_FOO) *(.x) } }", "1:39", "unknown section flag"),
    ("x = " + "(" * 5000, "1:106", "nested too deeply"),
    ("x = " + "-" * 5000, "1:106", "nested too deeply"),
    ("x = 1" + "+1" * 5000, "", "too long"),
    ("x = 1" + "?1" * 5000, "", "nested too deeply"),
    ("INPUT" + "(AS_NEEDED" * 5000, "", "nested too deeply"),
    ("INSERT SOMEWHERE .text", "1:8", "expected AFTER or BEFORE"),
    ("PROVIDE(x)", "1:10", "expected an assignment in PROVIDE"),
    ("= 3;", "1:1", "expected a linker script command"),
    ("x = CONSTANT(PAGESIZE);", "1:5", "unknown constant 'PAGESIZE'"),
    ("x = 1;\0", "1:7", "NUL"),
    ("\x7fELF", "1:1", "a character that is no text"),
])
def test_errors_say_where(text, place, message):
    with pytest.raises(LinkError) as caught:
        parse(text)
    head, shown, caret = str(caught.value).split("\n")
    assert message in head
    assert f"{place}: " in head
    assert shown.startswith(">>> ") and caret.startswith(">>> ") and caret.endswith("^")
    if place and len(text) < 60:
        column = int(head.split(": ")[0].rpartition(":")[2])
        assert caret.index("^") == 4 + column - 1


SAMPLE = """\
OUTPUT_FORMAT("elf64-x86-64", "a", "b") ENTRY(_start) SEARCH_DIR("=/lib"); /* c */
MEMORY { ram (rwx) : ORIGIN = 0x1000, LENGTH = 1M }
PHDRS { text PT_LOAD FILEHDR PHDRS FLAGS(5); }
VERSION { V1 { global: a; extern "C++" { "f(int)"; b*; }; local: *; }; V2 { c; } V1; }
SECTIONS {
  . = SEGMENT_START("text-segment", 0x400000) + SIZEOF_HEADERS;
  .text ALIGN(16) (NOLOAD) : AT(0x10) SUBALIGN(8) { KEEP(*(SORT(.text.*) EXCLUDE_FILE(a.o) .b))
     BYTE(1) FILL(0x90) ASCIZ "x\\n" . = ALIGN(. != 0 ? 8 : 1); PROVIDE(x = .); } >ram AT>ram :text =0x90
  OVERLAY 0x100 : { .a { *(.a) } .b { *(.b) } }
  ASSERT(SIZEOF(.text) < 10K, "too big")
}
INPUT(a.o -lfoo AS_NEEDED(b.so)) INSERT AFTER .text;
"""


def test_damaged_scripts_end_in_an_error_message():
    parse(SAMPLE)
    rnd = random.Random(5)
    alphabet = SAMPLE + "\0\x7f\"'(){}%@`\\é\udc80\n"
    for cut in range(len(SAMPLE)):
        broken = [SAMPLE[:cut]]
        for _ in range(3):
            spoiled = list(SAMPLE)
            for _ in range(rnd.randint(1, 4)):
                at = rnd.randrange(len(spoiled))
                spoiled[at:at + rnd.randint(0, 2)] = rnd.choices(alphabet, k=rnd.randint(0, 2))
            broken.append("".join(spoiled))
        for text in broken:
            try:
                parse(text)
            except LinkError as error:
                str(error).encode("utf-8", "surrogateescape")


def test_positions_of_several_scripts():
    sources = Sources()
    first = parse_script("a = 1;\n  b = x;", "one.ld", sources)
    second = parse_script("c = y;", "two.ld", sources)
    assert sources.describe(first[1][1]) == "one.ld:2:3"
    assert sources.describe(first[1][3][1]) == "one.ld:2:7"
    assert sources.describe(second[0][3][1]) == "two.ld:1:5"
    assert sources.describe(0) == ""


def test_expression_names():
    found = []
    tree = parse_expression("a + (DEFINED(b) ? c : MAX(d, 3)) + SIZEOF(.e) + .", "e", Sources())
    ast.expression_names(tree, found)
    assert found == ["a", "c", "d"]


@pytest.mark.parametrize("text, parts", [
    ("*", (None, "*")), ("a.o", (None, "a.o")), ("l.a:m.o", ("l.a", "m.o")), ("l.a:", ("l.a", None)),
    (":m.o", ("", "m.o")),
])
def test_split_archive(text, parts):
    assert ast.split_archive(text) == parts
