"""Sizes of what the run-time linker reads: .dynsym, .dynstr, hashes, versions, .dynamic, .relr.dyn.

Sources: gABI chapter 5 (dynamic section); Ulrich Drepper, "ELF Symbol Versioning"; glibc's elf.h for
GNU and Solaris tags. The order of entries is GNU ld's.
"""

from mclink import special
from mclink._core import dynamic, slots
from mclink.layout.values import set_image

DT_NULL, DT_NEEDED, DT_PLTRELSZ, DT_PLTGOT, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_RELA = range(8)
DT_RELASZ, DT_RELAENT, DT_STRSZ, DT_SYMENT, DT_INIT, DT_FINI, DT_SONAME, DT_RPATH = range(8, 16)
DT_SYMBOLIC, DT_REL, DT_RELSZ, DT_RELENT, DT_PLTREL, DT_DEBUG, DT_TEXTREL, DT_JMPREL = range(16, 24)
DT_BIND_NOW, DT_INIT_ARRAY, DT_FINI_ARRAY, DT_INIT_ARRAYSZ, DT_FINI_ARRAYSZ, DT_RUNPATH, DT_FLAGS = range(24, 31)
DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ = 32, 33
DT_RELRSZ, DT_RELR, DT_RELRENT = 35, 36, 37
DT_ANDROID_RELR = 0x6fffe000, 0x6fffe001, 0x6fffe003     # the same three
DT_ANDROID_REL, DT_ANDROID_RELA = (0x6000000f, 0x60000010), (0x60000011, 0x60000012)    # address, bytes
DT_GNU_HASH = 0x6ffffef5
DT_DEPAUDIT, DT_AUDIT = 0x6ffffefb, 0x6ffffefc
DT_VERSYM, DT_RELACOUNT, DT_RELCOUNT, DT_FLAGS_1 = 0x6ffffff0, 0x6ffffff9, 0x6ffffffa, 0x6ffffffb
DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM = 0x6ffffffc, 0x6ffffffd, 0x6ffffffe, 0x6fffffff
DT_AUXILIARY, DT_FILTER = 0x7ffffffd, 0x7fffffff

DF_ORIGIN, DF_SYMBOLIC, DF_TEXTREL, DF_BIND_NOW, DF_STATIC_TLS = 1, 2, 4, 8, 16
DF_1_NOW, DF_1_GROUP, DF_1_NODELETE, DF_1_INITFIRST, DF_1_NOOPEN = 1, 4, 8, 0x20, 0x40
DF_1_ORIGIN, DF_1_PIE = 0x80, 0x08000000

NEEDS_TEXTREL, NEEDS_STATIC_TLS = 4, 8

VER_FLG_BASE = 1


class DynamicTables:
    """The dynamic tables of one output.

    Attributes: `core` (_core.dynamic.Dynamic); `strings` {tag: [.dynstr offsets]} of DT_NEEDED and its
    like; `verdef`, `verneed` (bytes); `verdefs`, `verneeds` (their numbers of entries); `tags`
    [(tag, int or function of nothing)], without DT_NULL; `spare` entries behind them; `size` of .dynamic.
    """

    __slots__ = ("core", "strings", "verdef", "verneed", "verdefs", "verneeds", "tags", "spare", "size",
                 "relative_count")

    def __init__(self):
        self.core = dynamic.Dynamic()
        self.strings = []
        self.verdef = b""
        self.verneed = b""
        self.verdefs = 0
        self.verneeds = 0
        self.tags = []
        self.spare = 0
        self.size = 0
        self.relative_count = 0


def encode(text):
    return text.encode("utf-8", "surrogateescape")


# -- before output sections exist

def plan_dynamic(link):
    """Chooses and orders .dynsym, makes .dynstr and the version tables, and sets the sizes of all of them.

    Called by allocate_slots; .dynamic itself gets its size in size_dynamic."""
    tables = link.tables
    if not dynamic.has_special(tables, special.DYNAMIC):
        return
    plan = link.dynamic = DynamicTables()
    core = plan.core
    plan.strings = [(tag, core.string(encode(text))) for tag, text in string_tags(link)]
    versions = link.versions[2:] if link.versions else []
    core.select(tables, [(node.name, number) for number, node in enumerate(versions, 2)],
                getattr(link.target.data, "WEAK_IN_DYNSYM", False))
    core.order(tables, dynamic.has_special(tables, special.GNU_HASH))
    define_versions(link, plan)
    need_versions(link, plan)
    _, symbols, strings, versym, sysv, gnu = core.sizes(tables)
    if not plan.verdefs and not plan.verneeds:
        versym = 0
    for number, size in ((special.DYNSYM, symbols), (special.DYNSTR, strings), (special.VERSYM, versym),
                         (special.HASH, sysv), (special.GNU_HASH, gnu), (special.VERDEF, len(plan.verdef)),
                         (special.VERNEED, len(plan.verneed))):
        dynamic.set_size(tables, number, size)
    if dynamic.relr_count(tables):
        core.collect_relr(tables, slots.relative_words(tables))
        dynamic.set_size(tables, special.RELR_DYN, link.target.data.WORD)
    if packs_relocations(link) and dynamic.get_size(tables, special.RELA_DYN):
        dynamic.set_size(tables, special.RELA_DYN, link.target.data.WORD)
    # A first guess, so that the section is not taken for an empty one.
    dynamic.set_size(tables, special.DYNAMIC, 2 * link.target.data.WORD)


def string_tags(link):
    """(tag, text) of the entries that are strings, in GNU ld's order."""
    options = link.options
    rows = [(DT_NEEDED, library.soname) for library in link.libraries if library.is_needed]
    if options.shared and options.soname:
        rows.append((DT_SONAME, options.soname))
    if options.rpath:
        rows.append((DT_RUNPATH if options.new_dtags else DT_RPATH, run_path(options.rpath)))
    if options.shared:
        rows += [(DT_FILTER, text) for text in options.filter]
        rows += [(DT_AUXILIARY, text) for text in options.auxiliary]
    if options.audit:
        rows.append((DT_AUDIT, run_path(options.audit)))
    if options.depaudit:
        rows.append((DT_DEPAUDIT, run_path(options.depaudit)))
    return rows


def run_path(values):
    """The directories of several options, each once, joined by colons."""
    found = {}
    for value in values:
        for directory in value.split(":"):
            found.setdefault(directory)
    return ":".join(found)


def elf_hash(name):
    """gABI chapter 5, "Hash Table", of bytes."""
    value = 0
    for byte in name:
        value = (value << 4) + byte
        high = value & 0xf0000000
        value = (value ^ high >> 24) & ~high & 0xffffffff
    return value


def packer(link):
    """Function (value, bytes) -> bytes in the output's byte order."""
    order = "big" if link.target.data.BIG_ENDIAN else "little"
    return lambda value, size: value.to_bytes(size, order)


def define_versions(link, plan):
    """.gnu.version_d: the file itself, then each version with its parents."""
    nodes = link.versions or ()
    if len(nodes) <= 2:
        return
    n = packer(link)
    table = bytearray()
    for number, node in enumerate(nodes):
        if node is None:
            continue
        # The last parent comes first, as in GNU ld.
        names = [node.name] + [nodes[parent].name for parent in reversed(node.parents)]
        last = number == len(nodes) - 1
        table += n(1, 2) + n(VER_FLG_BASE if node.base else 0, 2) + n(number, 2) + n(len(names), 2)
        table += n(elf_hash(node.name), 4) + n(20, 4) + n(0 if last else 20 + 8 * len(names), 4)
        for index, name in enumerate(names):
            table += n(plan.core.string(name), 4) + n(0 if index == len(names) - 1 else 8, 4)
    plan.verdef = bytes(table)
    plan.verdefs = len(nodes) - 1


def need_versions(link, plan):
    """.gnu.version_r: the versions of other libraries' symbols that .dynsym refers to."""
    tables = link.tables
    needed = {}
    for file, version, _ in plan.core.needed_versions(tables):
        needed.setdefault(file, []).append(version)
    number = len(link.versions) if plan.verdefs else 2
    mapping = {}
    n = packer(link)
    rows = []
    for library in link.libraries:
        names = []
        for version in needed.get(library.file, ()):
            name = library.versions[version] if version < len(library.versions) else None
            if name is None:
                # The library says nothing about that index; the reference goes unversioned.
                continue
            mapping[library.file, version] = number
            names.append((name, number))
            number += 1
        if names and relr_marker(link, library, names):
            # glibc refuses the file on systems whose run-time linker does not know DT_RELR.
            names.append((b"GLIBC_ABI_DT_RELR", number))
            number += 1
        if names:
            rows.append((library, names))
    table = bytearray()
    for index, (library, names) in enumerate(rows):
        last = index == len(rows) - 1
        table += n(1, 2) + n(len(names), 2) + n(plan.core.string(encode(library.soname)), 4) + n(16, 4)
        table += n(0 if last else 16 + 16 * len(names), 4)
        for place, (name, version) in enumerate(names):
            table += n(elf_hash(name), 4) + n(0, 2) + n(version, 2) + n(plan.core.string(name), 4)
            table += n(0 if place == len(names) - 1 else 16, 4)
    plan.core.set_versions(tables, mapping)
    plan.verneed = bytes(table)
    plan.verneeds = len(rows)


def relr_marker(link, library, names):
    """True when the output's DT_RELR has to be announced to glibc's libc.so.6."""
    return (dynamic.relr_count(link.tables) != 0 and not link.options.android_relr_tags and library.soname.startswith("libc.so.")
            and any(name.startswith(b"GLIBC_2.") for name, _ in names))


# -- when output sections exist

def size_dynamic(link):
    """Size .dynamic"""
    plan = link.dynamic
    if plan is None:
        link_sections(link)
        return
    if frag_output(link, special.DYNAMIC) is None:
        # A script discarded .dynamic: nothing else of this kind can be found at run time.
        link.dynamic = None
        return
    plan.tags = dynamic_tags(link, plan)
    plan.spare = link.options.spare_dynamic_tags + 1
    plan.size = (len(plan.tags) + plan.spare) * 2 * link.target.data.WORD
    dynamic.set_size(link.tables, special.DYNAMIC, plan.size)
    link_sections(link)


def frag_output(link, number):
    """OutputSection of a linker-made section; None when it is not in the output."""
    for row, _, _, _, output, _ in dynamic.specials(link.tables):
        if row == number:
            return link.outputs[output - 1] if output else None
    return None


def link_sections(link):
    """sh_link and sh_info of the linker's sections (gABI chapter 4, "sh_link and sh_info Interpretation")."""
    found = {row[0]: link.outputs[row[4] - 1] for row in dynamic.specials(link.tables) if row[4]}
    symbols, strings = found.get(special.DYNSYM), found.get(special.DYNSTR)
    plan = link.dynamic
    for number in (special.HASH, special.GNU_HASH, special.VERSYM, special.RELA_DYN, special.RELA_PLT,
                   special.RELA_IPLT):
        if number in found and symbols is not None:
            found[number].link = symbols
    for number in (special.DYNSYM, special.DYNAMIC, special.VERDEF, special.VERNEED):
        if number in found and strings is not None:
            found[number].link = strings
    if symbols is not None:
        # Index of the first symbol that is not local.
        symbols.info = 1
    if plan is not None:
        for number, count in ((special.VERDEF, plan.verdefs), (special.VERNEED, plan.verneeds)):
            if number in found:
                found[number].info = count
    patched = found.get(special.GOT_PLT) or found.get(special.IGOT_PLT) or found.get(special.GOT)
    for number in (special.RELA_PLT, special.RELA_IPLT):
        if number in found and patched is not None:
            found[number].info = patched
            found[number].flags |= 0x40        # SHF_INFO_LINK


def dynamic_tags(link, plan):
    """The entries of .dynamic without DT_NULL and DT_RELACOUNT: [(tag, int or function -> int)]."""
    options = link.options
    tables = link.tables
    rela = link.target.data.RELA
    word = link.target.data.WORD
    live = {row[0] for row in dynamic.specials(tables)}
    entsize = (3 if rela else 2) * word
    tags = [row for row in plan.strings if row[0] in (DT_NEEDED, DT_SONAME)]
    if options.shared and options.bsymbolic == "all":
        tags.append((DT_SYMBOLIC, 0))
    tags += [row for row in plan.strings if row[0] not in (DT_NEEDED, DT_SONAME)]
    for tag, name in ((DT_INIT, options.init), (DT_FINI, options.fini)):
        gid, defined, _ = dynamic.lookup(tables, encode(name)) if name else (0, False, False)
        if gid and defined:
            tags.append((tag, lambda gid=gid: dynamic.symbol_value(tables, gid)))
    tags += array_tags(link)
    if special.HASH in live:
        tags.append((DT_HASH, at(link, special.HASH)))
    if special.GNU_HASH in live:
        tags.append((DT_GNU_HASH, at(link, special.GNU_HASH)))
    tags += [(DT_STRTAB, at(link, special.DYNSTR)), (DT_SYMTAB, at(link, special.DYNSYM)),
             (DT_STRSZ, dynamic.get_size(tables, special.DYNSTR)), (DT_SYMENT, 24 if word == 8 else 16)]
    if not options.shared:
        tags.append((DT_DEBUG, 0))
    # Where scripts put the relocations of IFUNCs among the others, those are not for lazy binding.
    in_dyn = getattr(link.target.data, "IPLT_IN_DYN", False)
    plt = [number for number in (special.RELA_PLT, special.RELA_IPLT)[:1 if in_dyn else 2] if number in live]
    if plt or special.PLT in live or special.PLT_GOT in live:
        got = special.GOT_PLT if special.GOT_PLT in live else special.GOT
        if got in live:
            tags.append((getattr(link.target.data, "PLTGOT_TAG", DT_PLTGOT), at(link, got)))
    if plt:
        tags += [(DT_PLTRELSZ, lambda: span(link, plt)[1]), (DT_PLTREL, DT_RELA if rela else DT_REL),
                 (DT_JMPREL, lambda: span(link, plt)[0])]
    tags += [row for row in getattr(link.target.data, "dynamic_tags", no_tags)(link)]
    dyn = [number for number in (special.RELA_DYN, special.RELA_IPLT)[:2 if in_dyn else 1] if number in live]
    if packs_relocations(link) and special.RELA_DYN in dyn:
        start, size = DT_ANDROID_RELA if rela else DT_ANDROID_REL
        tags += [(start, at(link, special.RELA_DYN)), (size, lambda: dynamic.get_size(tables, special.RELA_DYN))]
        dyn.remove(special.RELA_DYN)
    if dyn:
        tags += [(DT_RELA if rela else DT_REL, lambda: span(link, dyn)[0]),
                 (DT_RELASZ if rela else DT_RELSZ, lambda: span(link, dyn)[1]),
                 (DT_RELAENT if rela else DT_RELENT, entsize)]
    textrel, flags = flag_tags(link)
    tags += textrel
    if special.VERDEF in live:
        tags += [(DT_VERDEF, at(link, special.VERDEF)), (DT_VERDEFNUM, plan.verdefs)]
    tags += flags
    if special.VERNEED in live:
        tags += [(DT_VERNEED, at(link, special.VERNEED)), (DT_VERNEEDNUM, plan.verneeds)]
    if special.VERSYM in live:
        tags.append((DT_VERSYM, at(link, special.VERSYM)))
    if special.RELR_DYN in live:
        relr, size, entry = DT_ANDROID_RELR if options.android_relr_tags else (DT_RELR, DT_RELRSZ, DT_RELRENT)
        tags += [(relr, at(link, special.RELR_DYN)),
                 (size, lambda: dynamic.get_size(tables, special.RELR_DYN)), (entry, word)]
    return tags


def packs_relocations(link):
    """True when .rela.dyn is packed (--pack-dyn-relocs=android, android+relr)."""
    return "android" in link.options.pack_dyn_relocs


def no_tags(link):
    return ()


def at(link, number):
    """Function that returns the final address of a linker-made section."""
    return lambda: span(link, (number,))[0]


def span(link, numbers):
    """(lowest address, bytes up to the highest end) of linker-made sections."""
    rows = [row for row in dynamic.specials(link.tables) if row[0] in numbers]
    low = min(row[2] for row in rows)
    return low, max(row[2] + row[3] for row in rows) - low


def array_tags(link):
    """DT_INIT_ARRAY and its like: an output section of that name."""
    by_name = {section.name: section for section in link.outputs}
    tags = []
    for name, start, size in ((".preinit_array", DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ),
                              (".init_array", DT_INIT_ARRAY, DT_INIT_ARRAYSZ),
                              (".fini_array", DT_FINI_ARRAY, DT_FINI_ARRAYSZ)):
        section = by_name.get(name)
        if section is None or (name == ".preinit_array" and link.options.shared):
            continue
        tags += [(start, lambda section=section: section.address), (size, lambda section=section: section.size)]
    return tags


def flag_tags(link):
    """([DT_TEXTREL], [DT_FLAGS or DT_BIND_NOW, DT_FLAGS_1]), as far as they are there."""
    options = link.options
    needs = dynamic.needs(link.tables)
    flags, flags_1 = options.z_df, options.z_df_1
    textrel = []
    tags = []
    if needs & NEEDS_TEXTREL:
        warn_textrel(link)
        textrel.append((DT_TEXTREL, 0))
        flags |= DF_TEXTREL
    if options.shared and options.bsymbolic == "all":
        flags |= DF_SYMBOLIC
    if needs & NEEDS_STATIC_TLS and (options.shared or options.pie and getattr(link.target.data, "STATIC_TLS_IN_PIE", False)):
        flags |= DF_STATIC_TLS
    if options.z_now:
        flags |= DF_BIND_NOW
        flags_1 |= DF_1_NOW
    if flags & DF_ORIGIN:
        flags_1 |= DF_1_ORIGIN
    if options.bgroup:
        flags_1 |= DF_1_GROUP
    if not options.shared:
        # They say how a shared object is loaded and unloaded.
        flags_1 &= ~(DF_1_NODELETE | DF_1_INITFIRST | DF_1_NOOPEN)
    if options.pie:
        flags_1 |= DF_1_PIE
    if flags and options.new_dtags:
        tags.append((DT_FLAGS, flags))
    elif flags & DF_BIND_NOW:
        tags.append((DT_BIND_NOW, 0))
    if flags_1:
        tags.append((DT_FLAGS_1, flags_1))
    return textrel, tags


def warn_textrel(link):
    """GNU ld's text, which builds look for."""
    options = link.options
    if options.z_text is None or options.warn_textrel:
        kind = "a shared object" if options.shared else "a PIE" if options.pie else "an executable"
        link.diag.warn(f"creating DT_TEXTREL in {kind}")


# -- while addresses are assigned

def size_relr(link):
    """Packs .relr.dyn at the addresses of now; True when its size has changed.

    A hook of the address fixed point. frag_addr holds offsets in output sections then. The size only grows,
    so that the fixed point is reached."""
    plan = link.dynamic
    if plan is None or not dynamic.relr_count(link.tables):
        return False
    size = plan.core.pack_relr(link.tables, [0] + [section.address for section in link.outputs])
    if size <= dynamic.get_size(link.tables, special.RELR_DYN):
        return False
    dynamic.set_size(link.tables, special.RELR_DYN, size)
    return True


def size_packed(link):
    """Packs .rela.dyn for Android at the addresses of now; True when it has outgrown its size.

    A hook of the address fixed point. Addresses are put in place for the while and the relocations made as writing
    the image makes them. The section only grows."""
    plan = link.dynamic
    tables = link.tables
    if plan is None or not dynamic.get_size(tables, special.RELA_DYN):
        return False
    from mclink._core import dynrel, symbols
    addresses = [0] + [section.address for section in link.outputs]
    link.members.finish(tables, addresses)
    set_image(link)
    symbols.compute_values(tables)
    # Names of scripts and of the linker have their values later: each may change its own addend, and with it what
    # the next one adds. Rows that nobody has filled are those of .eh_frame.
    slack = dynrel.replay(tables) * (20 if link.target.data.RELA else 0)
    slots.write_slots(tables, [0] * special.COUNT)
    size = len(dynrel.packed_bytes(tables)) + slack + 40 * dynrel.blank_rows(tables)
    link.members.finish(tables, [-address & (1 << 64) - 1 for address in addresses])
    if size <= dynamic.get_size(tables, special.RELA_DYN):
        return False
    dynamic.set_size(tables, special.RELA_DYN, size)
    return True
