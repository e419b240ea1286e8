"""The value of a linker-script expression.

A value is a pair (number, section); numbers are 64 bits wide and wrap.  The section is one of

    None        a plain number
    ABSOLUTE    an absolute address
    NEAREST     an absolute address that came from the location counter (or from a region's origin or a
                segment's start) outside of an output section.  It counts as ABSOLUTE, but a symbol
                that gets it belongs to the output section that is nearest to the assignment, so that
                ``_end = .;`` moves with the program when it is position independent
    any other   an output section, as the Environment names it; the number is the offset in it

Rules, as observed on GNU ld 2.40 and described in the GNU ld manual, node "Expression Section":

- A literal outside of an output section is an absolute address, unless LD_FEATURE("SANE_EXPR") is
  given; otherwise it is a number.  An absolute symbol is taken as a literal is.  SIZEOF, ALIGNOF,
  LENGTH, CONSTANT, DEFINED, SIZEOF_HEADERS and LOG2CEIL are numbers everywhere.
- A unary operator works on the offset and keeps the section.
- A binary operator between a number and something else works on the offset and takes the section of
  the other.  Between two different sections (ABSOLUTE counts as one) both become absolute addresses
  first.  Between two operands of one section it works on the offsets, and the result is a number (an
  absolute address where a literal would be one).  MAX, MIN and ALIGN keep the section in that case.
- Comparisons, && and || give a number (of ``.`` too, which GNU ld makes relative to a section).
  Conditions test the offset, not the address.
- Division and remainder are signed, as in C; comparisons and >> are unsigned; shift counts are taken
  modulo 64.
- A symbol assigned in an output section gets that section when the value is a number.  The location
  counter in an output section takes a number as an offset from the section's start.
"""

from mclink.script import ast

ABSOLUTE = "*ABS*"
NEAREST = "*NEAREST*"

_MASK = (1 << 64) - 1


class Environment:
    """What an expression is evaluated in.  The layout derives from it; see there for the real one.

    dot        int, the location counter, an absolute address
    section    the output section the expression stands in, or ABSOLUTE
    sane       bool, LD_FEATURE("SANE_EXPR") is in force
    sources    Sources, for error messages

    A method that finds nothing returns None, which is an error at the place of the expression.
    """

    __slots__ = ("dot", "section", "sane", "sources")

    def __init__(self, sources):
        self.dot = 0
        self.section = ABSOLUTE
        self.sane = False
        self.sources = sources

    def symbol(self, name):
        """(number, section) of the symbol *name*, or None."""
        return None

    def undefined(self, name, pos):
        """The value to take for a symbol that `symbol` does not know; an error here."""
        hint = ""
        if "/" in name or "~" in name:
            hint = ": '/' and '~' are part of a name, put blanks around the operator"
        self.sources.fail(pos, f"undefined symbol '{name}' in an expression{hint}")

    def is_defined(self, name, pos):
        """DEFINED(name): whether the symbol is defined before this place of the script."""
        return self.symbol(name) is not None

    def output_section(self, name):
        """The output section *name*, a value to use as a section, or None."""
        return None

    def address(self, section):
        """The address of an output section."""
        return 0

    def load_address(self, section):
        return self.address(section)

    def size(self, section):
        return 0

    def alignment(self, section):
        return 1

    def region(self, name):
        """(origin, length) of a memory region, or None."""
        return None

    def constant(self, name):
        """MAXPAGESIZE or COMMONPAGESIZE."""
        return 0x1000

    def segment_start(self, name):
        """The address given for "text-segment" and so on by an option, or None."""
        return None

    def size_of_headers(self):
        """Bytes of the ELF header and the program headers."""
        return 0

    def data_segment_align(self, max_page, common_page, pos):
        """The address of DATA_SEGMENT_ALIGN, in the first of the manual's two forms."""
        return align(self.dot, max_page) + (self.dot & (max_page - 1))

    def data_segment_relro_end(self, offset, address, pos):
        return address

    def data_segment_end(self, address, pos):
        return address

    def failed_assert(self, message, pos):
        """An ASSERT was 0."""
        self.sources.fail(pos, message)


def align(number, alignment):
    """*number* rounded up to a multiple of *alignment*, which need not be a power of two."""
    return (number + alignment - 1) // alignment * alignment & _MASK if alignment > 1 else number


def symbol_value(expr, env):
    """(number, section) for a symbol that is assigned *expr*; the section is never None."""
    number, section = evaluate(expr, env)
    return number, env.section if section is None else section


def dot_value(expr, env):
    """The absolute address for ``. = expr``."""
    number, section = evaluate(expr, env)
    return _address(number, env.section if section is None else section, env)


def absolute_value(expr, env):
    """*expr* as an absolute address or plain number, for AT(), ORIGIN = and the like."""
    number, section = evaluate(expr, env)
    return _address(number, section, env)


def evaluate(expr, env):
    """(number, section) of the tree *expr*; raises LinkError with the place of what went wrong."""
    if type(expr) is int:
        return expr, _literal_section(env)
    kind = expr[0]
    operation = _BINARY.get(kind)
    if operation is not None:
        return _binary(expr, operation, env)
    if kind == ast.NAME:
        value = env.symbol(expr[2])
        if value is None:
            value = env.undefined(expr[2], expr[1])
        number, section = value
        return number, _literal_section(env) if section is ABSOLUTE or section is NEAREST else section
    if kind == ast.DOT:
        return _from_address(env.dot, env)
    if kind == ast.CONDITIONAL:
        return evaluate(expr[3] if evaluate(expr[2], env)[0] else expr[4], env)
    return _FUNCTIONS[kind](expr, env)


def _literal_section(env):
    return ABSOLUTE if env.section is ABSOLUTE and not env.sane else None


def _address(number, section, env):
    if section is None or section is ABSOLUTE or section is NEAREST:
        return number
    return number + env.address(section) & _MASK


def _from_address(address, env):
    """An absolute address as seen from the section the expression stands in."""
    section = env.section
    if section is ABSOLUTE:
        return address & _MASK, NEAREST
    return address - env.address(section) & _MASK, section


def _binary(expr, operation, env):
    function, result_rule = operation
    left, left_section = evaluate(expr[2], env)
    right, right_section = evaluate(expr[3], env)
    if left_section is right_section:
        section = left_section
        same = True
    elif left_section is None or right_section is None:
        section = right_section if left_section is None else left_section
        same = False
    else:
        same = True
        if ((left_section is ABSOLUTE or left_section is NEAREST)
                and (right_section is ABSOLUTE or right_section is NEAREST)):
            section = NEAREST
        else:
            left = _address(left, left_section, env)
            right = _address(right, right_section, env)
            section = ABSOLUTE
    if function is None:
        number = _divide(expr, left, right, env)
    else:
        number = function(left, right) & _MASK
    if result_rule == _NUMBER:
        section = None
    elif result_rule == _ARITHMETIC and same and section is not NEAREST:
        section = _literal_section(env)
    return number, section


def _divide(expr, left, right, env):
    """Signed division and remainder, rounding towards zero."""
    if not right:
        env.sources.fail(expr[1], "division by zero")
    left = left - (1 << 64) if left >> 63 else left
    right = right - (1 << 64) if right >> 63 else right
    quotient = abs(left) // abs(right)
    if (left < 0) != (right < 0):
        quotient = -quotient
    return (quotient if expr[0] == "/" else left - quotient * right) & _MASK


_NUMBER, _ARITHMETIC, _KEEP = range(3)

# operator -> (function or None for division, section of the result)
_BINARY = {
    "+": (lambda a, b: a + b, _ARITHMETIC),
    "-": (lambda a, b: a - b, _ARITHMETIC),
    "*": (lambda a, b: a * b, _ARITHMETIC),
    "/": (None, _ARITHMETIC),
    "%": (None, _ARITHMETIC),
    "&": (lambda a, b: a & b, _ARITHMETIC),
    "|": (lambda a, b: a | b, _ARITHMETIC),
    "^": (lambda a, b: a ^ b, _ARITHMETIC),
    "<<": (lambda a, b: a << (b & 63), _ARITHMETIC),
    ">>": (lambda a, b: a >> (b & 63), _ARITHMETIC),
    "==": (lambda a, b: a == b, _NUMBER),
    "!=": (lambda a, b: a != b, _NUMBER),
    "<": (lambda a, b: a < b, _NUMBER),
    ">": (lambda a, b: a > b, _NUMBER),
    "<=": (lambda a, b: a <= b, _NUMBER),
    ">=": (lambda a, b: a >= b, _NUMBER),
    "&&": (lambda a, b: 1 if a and b else 0, _NUMBER),
    "||": (lambda a, b: 1 if a or b else 0, _NUMBER),
    "MAX": (max, _KEEP),
    "MIN": (min, _KEEP),
    "ALIGN2": (align, _KEEP),
}


def _unary(function):
    def apply(expr, env):
        number, section = evaluate(expr[2], env)
        return function(number) & _MASK, section
    return apply


def _number_of_section(method):
    def apply(expr, env):
        return getattr(env, method)(_section(expr, env)), None
    return apply


def _section(expr, env):
    section = env.output_section(expr[2])
    if section is None:
        env.sources.fail(expr[1], f"undefined section '{expr[2]}' in an expression")
    return section


def _region(expr, env):
    region = env.region(expr[2])
    if region is None:
        env.sources.fail(expr[1], f"undefined memory region '{expr[2]}' in an expression")
    return region


def _segment_start(expr, env):
    address = env.segment_start(expr[2])
    return _from_address(evaluate(expr[3], env)[0] if address is None else address, env)


def _assert(expr, env):
    value = evaluate(expr[2], env)
    if not value[0]:
        env.failed_assert(expr[3], expr[1])
    return value


def _log2ceil(expr, env):
    number = evaluate(expr[2], env)[0]
    return (number - 1).bit_length() if number else 0, None


def _data_segment_align(expr, env):
    max_page = absolute_value(expr[2], env)
    common_page = absolute_value(expr[3], env)
    for page in (max_page, common_page):
        if page == 0 or page & (page - 1):
            env.sources.fail(expr[1], f"page size {page:#x} is not a power of two")
    return _from_address(env.data_segment_align(max_page, common_page, expr[1]), env)


_FUNCTIONS = {
    "neg": _unary(lambda a: -a),
    "pos": _unary(lambda a: a),
    "~": _unary(lambda a: ~a),
    "!": _unary(lambda a: not a),
    "ABSOLUTE": lambda expr, env: (absolute_value(expr[2], env), ABSOLUTE),
    "ALIGN": lambda expr, env: _from_address(align(env.dot, evaluate(expr[2], env)[0]), env),
    "NEXT": lambda expr, env: (align(env.dot, evaluate(expr[2], env)[0]), ABSOLUTE),
    "LOG2CEIL": _log2ceil,
    "ADDR": lambda expr, env: (0, _section(expr, env)),
    "LOADADDR": lambda expr, env: (env.load_address(_section(expr, env)), ABSOLUTE),
    "SIZEOF": _number_of_section("size"),
    "ALIGNOF": _number_of_section("alignment"),
    "SIZEOF_HEADERS": lambda expr, env: (env.size_of_headers(), None),
    "DEFINED": lambda expr, env: (int(env.is_defined(expr[2], expr[1])), None),
    "ORIGIN": lambda expr, env: _from_address(_region(expr, env)[0], env),
    "LENGTH": lambda expr, env: (_region(expr, env)[1], None),
    "CONSTANT": lambda expr, env: (env.constant(expr[2]), None),
    "SEGMENT_START": _segment_start,
    "DATA_SEGMENT_ALIGN": _data_segment_align,
    "DATA_SEGMENT_RELRO_END": lambda expr, env: _from_address(
        env.data_segment_relro_end(absolute_value(expr[2], env), absolute_value(expr[3], env),
                                   expr[1]), env),
    "DATA_SEGMENT_END": lambda expr, env: _from_address(
        env.data_segment_end(absolute_value(expr[2], env), expr[1]), env),
    ast.ASSERT: _assert,
}
