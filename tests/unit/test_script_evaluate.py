"""The value and section of script expressions, compared with what GNU ld makes of the same script."""

import subprocess

import pytest

from mclink.diag import LinkError
from mclink.script import evaluate as ev
from mclink.script.expression import parse_expression
from mclink.script.sources import Sources

EXPRESSIONS = """\
5 | -5 | ~5 | !5 | t1 | -t1 | ~t1 | !t1 | +t1 | abs1 | !abs1 | ~abs1
t1+4 | 4+t1 | t1-4 | 4-t1 | t2-t1 | t1-t2 | t1+t2 | t1*2 | 2*t1 | t1*t2 | t1 / 2 | t1 % 3
t1&0xfff | t1&t2 | t1|t2 | t1<<2 | 2<<t1 | t1<<t2 | t1>>1 | d1-t1 | d1+t1 | d1&t1
d1==t1 | t1==t1 | t1<t2 | t1<d1 | t1>=abs1 | t1 && t2 | t1 || d1 | z1 && 1
t1 ? t1 : d1 | 0 ? t1 : d1 | z1 ? 3 : 4 | abs1 ? 3 : 4 | d1 ? . : 0
t1+abs1 | abs1+4 | abs1+abs1 | abs1-abs1 | abs1-t1 | abs1 == 0x55 | abs1 & 1 | 0x10 + abs1 * 2
. | .+4 | 4+. | .-t1 | .-. | . & 0xff | t1 + . | 1 + (. - t1) | ALIGNOF(.text) + . | SIZEOF(.text) + .
ALIGN(16) | ALIGN(.,16) | ALIGN(t1,16) | ALIGN(5,16) | ALIGN(abs1,16) | ALIGN(16)+4 | ALIGN(t1)
ALIGN(5,3) | ALIGN(t1,t2) | ADDR(.text) | ADDR(.text)+4 | ADDR(.data)-ADDR(.text) | LOADADDR(.text)
LOADADDR(.data) | LOADADDR(.data)-LOADADDR(.text) | LOADADDR(.data) + SIZEOF(.data)
SIZEOF(.text) | ALIGNOF(.text) | SIZEOF(.text)+t1 | ADDR(.text) + SIZEOF(.text) | (. - ADDR(.text))
ABSOLUTE(t1) | ABSOLUTE(5) | ABSOLUTE(.) | ABSOLUTE(.)+4 | ABSOLUTE(.)+t1 | ABSOLUTE(ADDR(.text))
MAX(t1,t2) | MAX(t1,3) | MAX(t1,d1) | MIN(t1,d1) | MIN(3,t1) | MIN(5,3) | MIN(abs1,3)
NEXT(0x1000) | BLOCK(0x10) | LOG2CEIL(5) | LOG2CEIL(t1) | LOG2CEIL(0) | LOG2CEIL(1)
DEFINED(t1) | DEFINED(nope) | CONSTANT(MAXPAGESIZE) | t1 + CONSTANT(MAXPAGESIZE)
SEGMENT_START("text-segment",0x4000) | SEGMENT_START("text-segment",t1)
-8/3 | -8%3 | 8/-3 | 7/2 | -1>>1 | -1 > 1 | 1<<63 | 1<<64 | 1<<65
ASSERT(t1, "x") | t1-3+d1 | (t1-t2)+d1 | (t1+t2)-t2 | (t1-t2)+3 | (t1 == t2)+3 | - (t1-t2)
t1 + (4 - 2) | (5+3)*2 | end | end - t1 | end-4 | a0 - a0 | a0 + t1 | MAX(., 4)
""".replace("|\n", "\n")

# Where the assignments stand -> (place in the script, location counter, section)
PLACES = {"top": (0, 0, ev.ABSOLUTE), "before": (1, 0x1000, ev.ABSOLUTE),
          "text": (2, 0x1010, ".text"), "between": (3, 0x1010, ev.ABSOLUTE),
          "data": (4, 0x2014, ".data"), "after": (5, 0x2014, ev.ABSOLUTE)}

ASSEMBLY = """\
.text
.globl _start, z1, t1, t2, d1, abs1
_start: z1: .skip 4
t1: .skip 4
t2: .skip 8
.data
.skip 8
d1: .quad 1
abs1 = 0x55
"""


def expressions():
    # "|" and "||" are operators as well: the separators stand between blanks.
    for line in EXPRESSIONS.splitlines():
        for text in line.split(" | "):
            yield text.strip()


class Sections(ev.Environment):
    """The program of `gnu_symbols`, laid out."""

    __slots__ = ()

    SYMBOLS = {"z1": (0, ".text"), "t1": (4, ".text"), "t2": (8, ".text"), "d1": (9, ".data"),
               "abs1": (0x55, ev.ABSOLUTE), "a0": (0x20, ev.ABSOLUTE), "end": (0x2014, ev.NEAREST)}

    def symbol(self, name):
        return self.SYMBOLS.get(name)

    def output_section(self, name):
        return {".text": ".text", ".data": ".data"}.get(name)

    def address(self, section):
        return {".text": 0x1000, ".data": 0x2003}[section]

    def load_address(self, section):
        return {".text": 0x11000, ".data": 0x12003}[section]

    def size(self, section):
        return {".text": 0x10, ".data": 0x11}[section]

    def region(self, name):
        return (0x2000, 0x100) if name == "R" else None


@pytest.fixture(scope="module")
def object_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    (folder / "a.s").write_text(ASSEMBLY)
    subprocess.run(["gcc", "-c", "a.s", "-o", "a.o"], cwd=folder, check=True)
    return folder / "a.o"


def gnu_symbols(object_file, place, sane):
    """What GNU ld gives: expression -> (address, section)."""
    assignments = "".join(f"r{n} = {text};\n" for n, text in enumerate(expressions()))
    here = ["", "", "", "", "", ""]
    here[PLACES[place][0]] = assignments
    script = object_file.with_name(f"{place}{sane}.ld")
    script.write_text(
        ('LD_FEATURE("SANE_EXPR")\n' if sane else "") + here[0] +
        f"SECTIONS {{ . = 0x1000; a0 = 0x20; {here[1]} .text : AT(0x11000) {{ *(.text) {here[2]} }}\n"
        f"{here[3]} . = 0x2003; .data : {{ BYTE(1) *(.data) {here[4]} }} end = .; {here[5]} }}\n")
    out = script.with_suffix(".out")
    subprocess.run(["ld.bfd", "--no-warn-rwx-segments", "-T", script, object_file, "-o", out],
                   check=True)
    table = subprocess.run(["objdump", "-t", out], check=True, capture_output=True, text=True).stdout
    found = {}
    for line in table.splitlines():
        words = line.split()
        if len(words) >= 4 and words[-1][0] == "r" and words[-1][1:].isdecimal():
            found[int(words[-1][1:])] = int(words[0], 16), words[-3]
    return {text: found[n] for n, text in enumerate(expressions())}


@pytest.mark.parametrize("sane", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_as_gnu_ld(object_file, place, sane):
    wrong = []
    for text, (address, section) in gnu_symbols(object_file, place, sane).items():
        env = Sections(Sources())
        _, env.dot, env.section = PLACES[place]
        env.sane = sane
        number, got = ev.symbol_value(parse_expression(text, "e", env.sources), env)
        base = 0 if got in (ev.ABSOLUTE, ev.NEAREST) else env.address(got)
        same_section = (section in (".text", ".data")) if got is ev.NEAREST else section == got
        if (number + base) % 2**64 != address or not same_section:
            wrong.append(f"{text}: {number + base:#x} {got}, GNU ld {address:#x} {section}")
    assert not wrong


@pytest.mark.parametrize("section, text, address", [
    (ev.ABSOLUTE, "0x3000", 0x3000), (ev.ABSOLUTE, "t1", 0x1004), (ev.ABSOLUTE, ". + 8", 0x1018),
    (".text", "0x40", 0x1040), (".text", ". + 8", 0x1018), (".text", "ABSOLUTE(0x1040)", 0x1040),
    (".text", "d1", 0x200c), (".text", "abs1", 0x1055), (".text", "ALIGN(0x100)", 0x1100),
])
def test_location_counter(section, text, address):
    env = Sections(Sources())
    env.dot, env.section = 0x1010, section
    assert ev.dot_value(parse_expression(text, "e", env.sources), env) == address


def test_regions():
    env = Sections(Sources())
    assert ev.symbol_value(parse_expression("ORIGIN(R)", "e", env.sources), env) == (0x2000, ev.NEAREST)
    env.section = ".text"
    value = ev.symbol_value(parse_expression("ORIGIN(R) + LENGTH(R)", "e", env.sources), env)
    assert value == (0x1100, ".text")


def test_a_comparison_with_the_location_counter_is_a_number():
    # GNU ld 2.40 puts the symbol into a section, and its 0 or 1 moves with a PIE.
    env = Sections(Sources())
    env.dot = 0x2014
    assert ev.symbol_value(parse_expression(". == end", "e", env.sources), env) == (1, ev.ABSOLUTE)


def test_assert_and_data_segment():
    env = Sections(Sources())
    env.dot = 0x1234
    tree = parse_expression("DATA_SEGMENT_ALIGN(0x1000, 0x100)", "e", env.sources)
    assert ev.absolute_value(tree, env) == 0x2234
    with pytest.raises(LinkError, match="e:1:1: too big"):
        ev.evaluate(parse_expression('ASSERT(. < 4, "too big")', "e", env.sources), env)


@pytest.mark.parametrize("text, message", [
    ("1 / 0", r"e:1:3: division by zero"), ("1 % (t1 - t1)", "division by zero"),
    ("3 + nope", r"e:1:5: undefined symbol 'nope' in an expression$"),
    ("t1/2", "undefined symbol 't1/2'.*put blanks"),
    ("SIZEOF(.none)", "undefined section '.none'"), ("ORIGIN(Q)", "undefined memory region 'Q'"),
    ("DATA_SEGMENT_ALIGN(3, 4)", "page size 0x3 is not a power of two"),
])
def test_errors(text, message):
    env = Sections(Sources())
    with pytest.raises(LinkError) as caught:
        ev.evaluate(parse_expression(text, "e", env.sources), env)
    import re
    assert re.search(message, str(caught.value).split("\n")[0])


def test_the_longest_expression_evaluates():
    env = Sections(Sources())
    for text in ("1" + "+1" * 400, "(" * 99 + "1" + ")" * 99, "-" * 98 + "1",
                 "(1+" * 99 + "1" + ")" * 99 + "+1" * 300):
        ev.evaluate(parse_expression(text, "e", env.sources), env)
