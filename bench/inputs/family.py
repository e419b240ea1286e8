"""(g) The generated family: objects written directly, in the proportions of a browser link.

At full size (30,000 objects) the data case has 8.9 M sections, of which 3.3 M are members of
COMDAT groups that lose against an earlier copy and 1.4 M are live input sections, and 0.6 M
relocations; the relocation-heavy case has 30 M relocations in 9.4 M sections.  The smaller
sizes are the same objects in the same proportions, fewer of them:

    an object    data    relocs   what
    sections      297       315   with the null section
      groups      134       134   one member each
      members     134       134   24 named by no earlier size of pool: the object's own share
      lose        110       110   on average, against the copy of an earlier object
      own          23        23   12 .text, 5 .rodata, 4 .data, 2 .bss
      rela          2        20
    relocations    20      1000
    symbols       216       216   35 local, 150 defined, 31 undefined

Object i is a function of the seed, i and the number of objects only.  Object 0 holds `_start`,
which leaves with a status that it reads through a relocation from the last object, so a link
can be checked by running it.  Needs NumPy; formats are those of the System V gABI.
"""

import os
import subprocess

import numpy

from .case import Case

SEED = 20251122
STATUS = 42
FULL_OBJECTS = 30000
SIZES = (1000, 100, 10, 1)  # full size divided by this

OWN_COMDATS = 24
LOST_COMDATS = 110
COMDATS = OWN_COMDATS + LOST_COMDATS
TEXTS, RODATAS, DATAS, BSSES = 12, 5, 4, 2
OWN = TEXTS + RODATAS + DATAS + BSSES
LOCALS = 10
UNDEFINED = 30
OWN_GLOBALS = TEXTS + DATAS

# Name numbers: COMDAT names count from 0; these ranges lie above the largest pool.
GLOBAL_NAMES = 1 << 30
LOCAL_NAMES = 1 << 31
ANSWER_NAME = (1 << 32) - 1

SECTION = numpy.dtype([("name", "<u4"), ("type", "<u4"), ("flags", "<u8"), ("addr", "<u8"),
                       ("offset", "<u8"), ("size", "<u8"), ("link", "<u4"), ("info", "<u4"),
                       ("align", "<u8"), ("entsize", "<u8")])
SYMBOL = numpy.dtype([("name", "<u4"), ("info", "u1"), ("other", "u1"), ("shndx", "<u2"),
                      ("value", "<u8"), ("size", "<u8")])
RELA = numpy.dtype([("offset", "<u8"), ("type", "<u4"), ("sym", "<u4"), ("addend", "<i8")])

SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_NOBITS, SHT_GROUP = 1, 2, 3, 4, 8, 17
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_INFO_LINK, SHF_GROUP = 1, 2, 4, 0x40, 0x200
STB_GLOBAL, STB_WEAK = 1 << 4, 2 << 4
STT_OBJECT, STT_FUNC, STT_SECTION, STT_FILE = 1, 2, 3, 4
R_X86_64_64, R_X86_64_PC32, R_X86_64_PLT32 = 1, 2, 4
SHN_ABS = 0xFFF1

# Section numbers of an object.
SYMTAB, STRTAB, NOTE, FIRST_GROUP = 1, 2, 3, 4
FIRST_OWN = FIRST_GROUP + COMDATS
FIRST_MEMBER = FIRST_OWN + OWN
FIRST_RELA = FIRST_MEMBER + COMDATS

# Which of the own sections carry relocations, and how many each object has in all.
CASES = {
    "data": ((0, TEXTS + RODATAS), 20),
    "relocs": (tuple(range(TEXTS + 4)) + tuple(range(TEXTS + RODATAS, TEXTS + RODATAS + DATAS)),
               1000),
}

# _start: mov answer(%rip), %edi; mov $60, %eax (exit); syscall
START_CODE = bytes.fromhex("8b3d00000000" "b83c000000" "0f05")
START_RELOCATION = 2
RESERVED = 16  # bytes at the head of an own section that no random relocation touches

LETTERS = numpy.frombuffer(b"N5blink10StyleValueI3css7PropertyNS_6String4ViewE13LayoutObjects"
                           b"8internal9CallbackIFvRKNSt3__112basic_stringEEE2v85LocalINS_5",
                           dtype="u1")
DIGITS = numpy.frombuffer(b"0123456789abcdef", dtype="u1")
OWN_FLAGS = numpy.array([SHF_ALLOC | SHF_EXECINSTR] * TEXTS + [SHF_ALLOC] * RODATAS
                        + [SHF_ALLOC | SHF_WRITE] * (DATAS + BSSES), dtype="<u8")
OWN_PREFIX = [b".text."] * TEXTS + [b".rodata."] * RODATAS + [b".data."] * DATAS + [b".bss."] * BSSES


def mix(numbers):
    """A 32-bit mixing of unsigned 64-bit `numbers`: sizes and name lengths come from it."""
    numbers = numbers.astype("<u8")
    numbers = (numbers ^ (numbers >> numpy.uint64(15))) * numpy.uint64(0x9E3779B97F4A7C15)
    return (numbers >> numpy.uint64(32)).astype("<u4")


def build_strings(numbers, prefixes):
    """A string table of ``prefix + name`` for each of `numbers`; its offsets and name offsets.

    Names are 24 to 119 bytes: letters that neighbours share, then the number in hexadecimal,
    as mangled names share namespaces and differ late.  Offset 0 is the empty string.
    """
    lengths = 24 + mix(numbers).astype("i8") % 96
    before = numpy.array([len(prefix) for prefix in prefixes], dtype="i8")
    whole = before + lengths + 1
    starts = 1 + numpy.concatenate(([0], numpy.cumsum(whole)[:-1]))
    total = 1 + int(whole.sum())
    family = mix(numbers >> numpy.uint64(3)).astype("i8") % len(LETTERS)
    within = numpy.arange(1, total) - numpy.repeat(starts + before - family, whole)
    table = numpy.zeros(total, dtype="u1")
    table[1:] = LETTERS[within % len(LETTERS)]
    names = starts + before
    for place in range(8):
        nibble = (numbers >> numpy.uint64(28 - 4 * place)) & numpy.uint64(15)
        table[names + lengths - 8 + place] = DIGITS[nibble.astype("i8")]
    table[starts + whole - 1] = 0
    for prefix in set(prefixes) - {b""}:
        chosen = starts[[item == prefix for item in prefixes]]
        for at, byte in enumerate(prefix):
            table[chosen + at] = byte
    return table, starts, names


def choose_comdats(random, index, objects):
    """The COMDAT names of object `index`: its own 24, and 110 out of everybody's, popular first."""
    pool = objects * OWN_COMDATS
    own = numpy.arange(index * OWN_COMDATS, (index + 1) * OWN_COMDATS, dtype="<u8")
    others = numpy.zeros(0, dtype="<u8")
    while len(others) < LOST_COMDATS:
        drawn = (random.random(LOST_COMDATS * 2) ** 2 * pool).astype("<u8")
        drawn = drawn[drawn // numpy.uint64(OWN_COMDATS) != index]
        others = numpy.unique(numpy.concatenate((others, drawn)))
    chosen = numpy.concatenate((own, random.permutation(others)[:LOST_COMDATS]))
    return random.permutation(chosen)


def build_object(index, objects, case):
    """The bytes of object `index` out of `objects` (at least 12, so that the pool suffices)."""
    carriers, relocations = CASES[case]
    random = numpy.random.Generator(numpy.random.PCG64([SEED, index, objects]))
    comdats = choose_comdats(random, index, objects)
    sections = numpy.zeros(FIRST_RELA + len(carriers), dtype=SECTION)

    # Names: members and own sections carry the prefix, symbols point behind it.
    own_names = GLOBAL_NAMES + index * OWN + numpy.arange(OWN, dtype="<u8")
    local_names = LOCAL_NAMES + index * LOCALS + numpy.arange(LOCALS, dtype="<u8")
    other = random.integers(0, objects, UNDEFINED)
    kind = random.integers(0, OWN_GLOBALS, UNDEFINED)
    slot = numpy.where(kind < TEXTS, kind, kind + RODATAS)
    other_names = (GLOBAL_NAMES + other * OWN + slot).astype("<u8")
    extra = numpy.array([ANSWER_NAME], dtype="<u8")
    numbers = numpy.concatenate((comdats, own_names, local_names, other_names, extra))
    prefixes = ([b".text."] * COMDATS + OWN_PREFIX + [b""] * (LOCALS + UNDEFINED + 1))
    table, starts, names = build_strings(numbers, prefixes)
    fixed = b"_start\0unit.cc\0.symtab\0.strtab\0.note.GNU-stack\0.group\0.rela\0"
    base = len(table)
    strings = table.tobytes() + fixed
    where = {word: base + fixed.index(word.encode() + b"\0") for word in
             ("_start", "unit.cc", ".symtab", ".strtab", ".note.GNU-stack", ".group", ".rela")}

    symbols, first_global = build_symbols(index, objects, names, where)
    build_section_headers(sections, comdats, starts, where, carriers, relocations)
    sections["info"][SYMTAB] = first_global
    sections["info"][FIRST_GROUP:FIRST_OWN] = first_global + numpy.arange(COMDATS)
    relas = [build_relocations(random, index, sections[FIRST_OWN + slot], slot, count,
                               first_global, len(symbols))
             for slot, count in spread(carriers, relocations)]
    return assemble(random, index, objects, sections, symbols, strings, relas)


def spread(carriers, relocations):
    """(own section, its number of relocations) for each carrier; the first takes the rest."""
    each = relocations // len(carriers)
    return [(slot, each + (relocations - each * len(carriers) if at == 0 else 0))
            for at, slot in enumerate(carriers)]


def build_symbols(index, objects, names, where):
    """The symbol table, and the number of its first global symbol.

    Order: null, file, own sections, locals | COMDAT functions, own globals, undefined, `_start`
    (object 0) and `answer` (object 0 refers, the last one defines).
    """
    first_global = 2 + OWN + LOCALS
    count = first_global + COMDATS + OWN_GLOBALS + UNDEFINED + 2
    symbols = numpy.zeros(count, dtype=SYMBOL)
    symbols[1] = (where["unit.cc"], STT_FILE, 0, SHN_ABS, 0, 0)
    part = symbols[2:2 + OWN]
    part["info"] = STT_SECTION
    part["shndx"] = FIRST_OWN + numpy.arange(OWN)
    at = 2 + OWN
    part = symbols[at:at + LOCALS]
    part["name"] = names[COMDATS + OWN:COMDATS + OWN + LOCALS]
    part["info"] = STT_FUNC
    part["shndx"] = FIRST_OWN + numpy.arange(LOCALS) % TEXTS
    part["value"] = 4
    at = first_global
    part = symbols[at:at + COMDATS]
    part["name"] = names[:COMDATS]
    part["info"] = STB_WEAK | STT_FUNC
    part["shndx"] = FIRST_MEMBER + numpy.arange(COMDATS)
    part["size"] = 16
    at += COMDATS
    slots = numpy.concatenate((numpy.arange(TEXTS), TEXTS + RODATAS + numpy.arange(DATAS)))
    part = symbols[at:at + OWN_GLOBALS]
    part["name"] = names[COMDATS + slots]
    part["info"] = STB_GLOBAL | numpy.where(slots < TEXTS, STT_FUNC, STT_OBJECT)
    part["shndx"] = FIRST_OWN + slots
    at += OWN_GLOBALS
    part = symbols[at:at + UNDEFINED]
    part["name"] = names[COMDATS + OWN + LOCALS:COMDATS + OWN + LOCALS + UNDEFINED]
    part["info"] = STB_GLOBAL
    answer, start = symbols[count - 2:count - 1], symbols[count - 1:]
    answer["name"] = names[-1]
    answer["info"] = STB_GLOBAL
    if index == objects - 1:
        answer["info"] = STB_GLOBAL | STT_OBJECT
        answer["shndx"] = FIRST_OWN + TEXTS + RODATAS
        answer["size"] = 4
    if index == 0:
        start["name"] = where["_start"]
        start["info"] = STB_GLOBAL | STT_FUNC
        start["shndx"] = FIRST_OWN
        start["size"] = len(START_CODE)
        return symbols, first_global
    return symbols[:-1], first_global


def build_section_headers(sections, comdats, starts, where, carriers, relocations):
    """Types, names, flags, sizes and alignments; offsets are given by `assemble`."""
    for number, kind, word in ((SYMTAB, SHT_SYMTAB, ".symtab"), (STRTAB, SHT_STRTAB, ".strtab"),
                               (NOTE, SHT_PROGBITS, ".note.GNU-stack")):
        sections["type"][number] = kind
        sections["name"][number] = where[word]
        sections["align"][number] = 1
    sections["align"][SYMTAB] = 8
    sections["link"][SYMTAB] = STRTAB
    sections["entsize"][SYMTAB] = SYMBOL.itemsize

    group = sections[FIRST_GROUP:FIRST_OWN]
    group["type"] = SHT_GROUP
    group["name"] = where[".group"]
    group["link"] = SYMTAB
    group["size"] = 8
    group["align"] = 4
    group["entsize"] = 4

    own = sections[FIRST_OWN:FIRST_MEMBER]
    own["type"] = SHT_PROGBITS
    own["type"][OWN - BSSES:] = SHT_NOBITS
    own["name"] = starts[COMDATS:COMDATS + OWN]
    own["flags"] = OWN_FLAGS
    own["size"] = 32 + 16 * (mix(numpy.arange(OWN)) % 20)
    own["align"] = 16
    for slot, count in spread(carriers, relocations):
        own["size"][slot] = max(int(own["size"][slot]), RESERVED + 8 * count + 64)

    member = sections[FIRST_MEMBER:FIRST_RELA]
    member["type"] = SHT_PROGBITS
    member["name"] = starts[:COMDATS]
    member["flags"] = SHF_ALLOC | SHF_EXECINSTR | SHF_GROUP
    member["size"] = 16 + 16 * (mix(comdats + numpy.uint64(7)) % 12)  # equal in every copy
    member["align"] = 16

    rela = sections[FIRST_RELA:]
    rela["type"] = SHT_RELA
    rela["name"] = where[".rela"]
    rela["flags"] = SHF_INFO_LINK
    rela["link"] = SYMTAB
    rela["info"] = [FIRST_OWN + slot for slot in carriers]
    rela["align"] = 8
    rela["entsize"] = RELA.itemsize
    rela["size"] = [RELA.itemsize * count for _slot, count in spread(carriers, relocations)]


def build_relocations(random, index, section, slot, count, first_global, symbols):
    """`count` relocations of one own section, by rising offset, eight bytes apart or more.

    Four in ten name a COMDAT function of the same object, three an undefined symbol, three a
    section of the object.  Data words are absolute, the rest is relative to the place.
    """
    rela = numpy.zeros(count, dtype=RELA)
    places = (int(section["size"]) - RESERVED) // 8
    rela["offset"] = RESERVED + 8 * numpy.sort(random.permutation(places)[:count])
    undefined = first_global + COMDATS + OWN_GLOBALS
    draw = random.random(count)
    rela["sym"] = numpy.where(
        draw < 0.4, first_global + random.integers(0, COMDATS, count),
        numpy.where(draw < 0.7, undefined + random.integers(0, UNDEFINED, count),
                    2 + random.integers(0, OWN, count)))
    if slot >= TEXTS + RODATAS:
        rela["type"] = R_X86_64_64
    else:
        rela["type"] = numpy.where(draw < 0.7, R_X86_64_PLT32, R_X86_64_PC32)
        rela["addend"] = -4
    if slot >= TEXTS and slot < TEXTS + RODATAS:
        rela["type"] = R_X86_64_PC32
        rela["addend"] = 0
    if index == 0 and slot == 0:
        rela[0] = (START_RELOCATION, R_X86_64_PC32, symbols - 2, -4)
    return rela


def assemble(random, index, objects, sections, symbols, strings, relas):
    """The file: header, contents in section order, section headers."""
    sections["size"][SYMTAB] = symbols.nbytes
    sections["size"][STRTAB] = len(strings)
    stored = numpy.where(sections["type"] == SHT_NOBITS, 0, sections["size"]).astype("i8")
    padded = (stored + 15) & ~15
    offsets = 64 + numpy.concatenate(([0], numpy.cumsum(padded)[:-1]))
    sections["offset"] = offsets
    sections["offset"][0] = 0
    table = 64 + int(padded.sum())
    data = bytearray(64) + random.bytes(int(padded.sum())) + sections.tobytes()

    data[:64] = (b"\x7fELF\2\1\1" + bytes(9) + (1).to_bytes(2, "little")
                 + (62).to_bytes(2, "little") + (1).to_bytes(4, "little") + bytes(16)
                 + table.to_bytes(8, "little") + bytes(4) + (64).to_bytes(2, "little") + bytes(4)
                 + (64).to_bytes(2, "little") + len(sections).to_bytes(2, "little")
                 + STRTAB.to_bytes(2, "little"))

    def put(number, content):
        at = int(offsets[number])
        data[at:at + len(content)] = content

    put(SYMTAB, symbols.tobytes())
    put(STRTAB, strings)
    view = numpy.frombuffer(data, dtype="u1")
    words = numpy.array([[1, FIRST_MEMBER + at] for at in range(COMDATS)], dtype="<u4")
    places = offsets[FIRST_GROUP:FIRST_OWN, None] + numpy.arange(8)
    view[places] = words.view("u1").reshape(COMDATS, 8)
    for at, rela in enumerate(relas):
        put(FIRST_RELA + at, rela.tobytes())
    if index == 0:
        put(FIRST_OWN, START_CODE)
    if index == objects - 1:
        put(FIRST_OWN + TEXTS + RODATAS, STATUS.to_bytes(4, "little"))
    return data


def write_family(folder, objects, case):
    """Write the objects of one size to `folder` unless they are there; returns their paths.

    A stamp file with the seed and this module's own time tells a complete family from a
    half-written or outdated one.
    """
    paths = [os.path.join(folder, f"{index // 1000:02}", f"{index:05}.o")
             for index in range(objects)]
    stamp = os.path.join(folder, "stamp")
    wanted = f"{SEED} {objects} {case} {os.path.getmtime(__file__)}\n"
    if os.path.exists(stamp):
        with open(stamp) as file:
            if file.read() == wanted:
                return paths
        os.remove(stamp)
    for part in sorted({os.path.dirname(path) for path in paths}):
        os.makedirs(part, exist_ok=True)
    for index, path in enumerate(paths):
        with open(path, "wb") as file:
            file.write(build_object(index, objects, case))
    with open(stamp, "w") as file:
        file.write(wanted)
    return paths


def ends_with_status(path):
    """A check: the output leaves with the status that it reads through a relocation."""
    done = subprocess.run([path], capture_output=True)
    return "" if done.returncode == STATUS else f"its output ended with status {done.returncode}"


def counts(objects, case):
    """What a family of `objects` holds: sections, discarded members, live, symbols, relocations."""
    carriers, relocations = CASES[case]
    return {
        "objects": objects,
        "sections": objects * (FIRST_RELA + len(carriers)),
        "lost_members": objects * LOST_COMDATS,
        "live_sections": objects * (OWN + OWN_COMDATS),
        "symbols": objects * (2 + OWN + LOCALS + COMDATS + OWN_GLOBALS + UNDEFINED + 1) + 1,
        "relocations": objects * relocations,
    }


def prepare_size(work, case, divisor):
    """One member of the family: `case` is "data" or "relocs", the size is full / `divisor`."""
    objects = FULL_OBJECTS // divisor
    paths = write_family(os.path.join(work, "family", f"{case}-{divisor}"), objects, case)
    words = ["-m", "elf_x86_64", "-pie", "-dynamic-linker",
             "/lib64/ld-linux-x86-64.so.2", "-z", "now", "-e", "_start",
             *paths]
    part = "full size" if divisor == 1 else f"1/{divisor}"
    rounds = {1000: 20, 100: 11, 10: 7, 1: 3}[divisor]
    return Case(f"family-{case}-{divisor}", f"generated family, {case}, {part}", words,
                ends_with_status, rounds=rounds, size=counts(objects, case))
