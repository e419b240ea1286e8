"""The linker's own sections: which of them this output may have, as fragments of file 1.

They carry GNU ld's names for linker-made input sections, so that any script places them. Those that
turn out to be empty lose STATE_LIVE when layout has sized them (layout.slots, layout.dynamic).
Sources: gABI chapter 5; the psABI of the machine for PLT and GOT; the Linux ABI extensions for the
property note.
"""

from mclink._core import load, notes
from mclink.elf import (SHF_ALLOC, SHF_EXECINSTR, SHF_INFO_LINK, SHF_WRITE, SHT_DYNAMIC, SHT_DYNSYM,
                        SHT_GNU_HASH, SHT_GNU_VERDEF, SHT_GNU_VERNEED, SHT_GNU_VERSYM, SHT_HASH, SHT_NOBITS,
                        SHT_NOTE, SHT_PROGBITS, SHT_REL, SHT_RELA, SHT_RELR, SHT_STRTAB)
from mclink.special import (BUILD_ID, DYNAMIC, DYNBSS, DYNRELRO, DYNSTR, DYNSYM, EH_FRAME_HDR, GNU_HASH, GOT,
                            GOT_PLT, HASH, IGOT_PLT, INTERP, IPLT, PLT, PLT_EH, PLT_GOT, PLT_LAZY, PROPERTY,
                            RELA_DYN, RELA_IPLT, RELA_PLT, RELR_DYN, VERDEF, VERNEED, VERSYM)

SHT_ANDROID_REL, SHT_ANDROID_RELA = 0x60000001, 0x60000002      # packed
SHT_ANDROID_RELR = 0x6fffff00       # what bionic had before SHT_RELR got its number

FEATURE_IBT, FEATURE_SHSTK, FEATURE_LAM_U48, FEATURE_LAM_U57 = 1, 2, 4, 8

# --build-id style -> bytes of the identifier
BUILD_ID_SIZES = {"fast": 8, "md5": 16, "uuid": 16, "sha1": 20, "tree": 20, "sha256": 32}


def make_synthetic(link):
    """Make the linker's own sections"""
    options = link.options
    make_property_note(link)
    merge = getattr(link.target.data, "merge_inputs", None)
    if merge is not None:
        merge(link)
    if options.relocatable:
        return
    dynamic = is_dynamic(link)
    link.tables.configure(dynamic_output=dynamic)
    if dynamic:
        make_dynamic_sections(link)
    make_notes(link)
    make_slot_sections(link, dynamic)
    if options.eh_frame_hdr:
        add(link, EH_FRAME_HDR, ".eh_frame_hdr", SHT_PROGBITS, SHF_ALLOC, 4, 0)


def is_dynamic(link):
    """True when the output gets a .dynamic: whatever may move, and whatever has seen a shared object."""
    options = link.options
    return options.shared or options.pie or any(not library.indirect for library in link.libraries)


def add(link, special, name, type, flags, align, entsize, size=0):
    """Adds one section to file 1 and records it as Columns.special[special]."""
    frag = load.add_section(link.tables, name.encode(), type, flags, align, entsize, size)
    if special:
        load.set_special(link.tables, special, frag)
    return frag


def keep_bytes(link, frag, contents):
    """Gives a linker-made section its bytes now; output.dynamic.write_synthetic puts them in place."""
    link.extra.setdefault("synthetic_bytes", []).append((frag, contents))


def word_size(link):
    return link.target.data.WORD


def make_dynamic_sections(link):
    """What the run-time linker reads, in GNU ld's order."""
    options = link.options
    word = word_size(link)
    elf64 = link.target.data.ELF_CLASS == 64
    path = interpreter(link)
    if path:
        contents = path.encode("utf-8", "surrogateescape") + b"\0"
        keep_bytes(link, add(link, INTERP, ".interp", SHT_PROGBITS, SHF_ALLOC, 1, 0, len(contents)), contents)
    style = hash_style(link)
    if style in ("sysv", "both"):
        add(link, HASH, ".hash", SHT_HASH, SHF_ALLOC, word, 4)
    if style in ("gnu", "both"):
        add(link, GNU_HASH, ".gnu.hash", SHT_GNU_HASH, SHF_ALLOC, word, 0 if elf64 else 4)
    add(link, DYNSYM, ".dynsym", SHT_DYNSYM, SHF_ALLOC, word, 24 if elf64 else 16)
    add(link, DYNSTR, ".dynstr", SHT_STRTAB, SHF_ALLOC, 1, 0)
    add(link, VERSYM, ".gnu.version", SHT_GNU_VERSYM, SHF_ALLOC, 2, 2)
    add(link, VERDEF, ".gnu.version_d", SHT_GNU_VERDEF, SHF_ALLOC, word, 0)
    add(link, VERNEED, ".gnu.version_r", SHT_GNU_VERNEED, SHF_ALLOC, word, 0)
    add(link, DYNAMIC, ".dynamic", SHT_DYNAMIC, dynamic_flags(link), word, 2 * word)


def dynamic_flags(link):
    """sh_flags of .dynamic: on most machines the run-time linker writes to it."""
    if link.options.z_rodynamic or getattr(link.target.data, "DYNAMIC_READ_ONLY", False):
        return SHF_ALLOC
    return SHF_ALLOC | SHF_WRITE


def interpreter(link):
    """Path for .interp, None when the output has none (shared objects, static PIE)."""
    options = link.options
    if options.shared or options.no_dynamic_linker:
        return None
    if options.dynamic_linker:
        return options.dynamic_linker
    return None if options.static and not link.libraries else link.target.interp()


def hash_style(link):
    """--hash-style, or what the target is used to."""
    return link.options.hash_style or link.target.data.DEFAULT_HASH_STYLE


def make_slot_sections(link, dynamic):
    """GOT, PLT, their relocations, and room for copies."""
    data = link.target.data
    tables = link.tables
    word = word_size(link)
    rela = data.RELA
    name = ".rela" if rela else ".rel"
    type = SHT_RELA if rela else SHT_REL
    entsize = (3 if rela else 2) * word
    split = choose_plt_style(link)
    sizes = link.target.ops.sizes()
    align = sizes["align"]
    code = SHF_ALLOC | SHF_EXECINSTR
    data_flags = SHF_ALLOC | SHF_WRITE
    own = getattr(data, "SLOT_NAMES", {})
    if dynamic:
        # GNU ld's scripts name the inputs of .rela.dyn by what they relocate; .rela.got is one of them.
        packed = "android" in link.options.pack_dyn_relocs
        add(link, RELA_DYN, getattr(data, "RELA_DYN_NAME", name + ".got"),
            (SHT_ANDROID_RELA if rela else SHT_ANDROID_REL) if packed else type, SHF_ALLOC, word, 1 if packed else entsize)
        add(link, RELR_DYN, ".relr.dyn", SHT_ANDROID_RELR if link.options.android_relr_tags else SHT_RELR, SHF_ALLOC,
            word, word)
        add(link, RELA_PLT, name + ".plt", type, SHF_ALLOC | SHF_INFO_LINK, word, entsize)
        if split:
            add(link, PLT_LAZY, own.get(".plt", ".plt"), SHT_PROGBITS, code, align, sizes["lazy"])
            add(link, PLT, own.get(".plt.sec", ".plt.sec"), SHT_PROGBITS, code, align, sizes["entry"])
        else:
            add(link, PLT, ".plt", SHT_PROGBITS, code, align, getattr(data, "PLT_ENTSIZE", sizes["entry"]))
        add(link, PLT_GOT, ".plt.got", SHT_PROGBITS, code, min(align, sizes["got"]), sizes["got"])
        if not link.options.shared:
            add(link, DYNBSS, ".dynbss", SHT_NOBITS, data_flags, 1, 0)
            add(link, DYNRELRO, ".data.rel.ro", SHT_PROGBITS, data_flags, 1, 0)
    add(link, RELA_IPLT, name + ".iplt", type, SHF_ALLOC | SHF_INFO_LINK, word, entsize)
    add(link, IPLT, own.get(".iplt", ".iplt"), SHT_PROGBITS, code, align if dynamic else min(align, sizes["got"]), sizes["got"])
    slot = data.CONSTANTS["word_size"]
    add(link, GOT, ".got", SHT_PROGBITS, data_flags | getattr(data, "GOT_FLAGS", 0), getattr(data, "GOT_ALIGN", slot),
        slot)
    for special, slots in ((GOT_PLT, ".got.plt"), (IGOT_PLT, ".igot.plt")):
        empty = slots in getattr(data, "SLOT_NOBITS", ())
        add(link, special, own.get(slots, slots), SHT_NOBITS if empty else SHT_PROGBITS, data_flags, slot, slot)
    if dynamic and link.options.unwind_info and hasattr(data, "PLT_EH_CIE"):
        add(link, PLT_EH, ".eh_frame", SHT_PROGBITS, SHF_ALLOC, word, 0)
    for command in getattr(data, "ARCH_SECTIONS", ()):
        command(link)


def choose_plt_style(link):
    """Puts the PLT style in force; True when entries are split in two sections (IBT)."""
    options = link.options
    if hasattr(link.target.data, "choose_plt"):
        link.target.ops.use_plt(link.target.data.choose_plt(link))
        return link.target.ops.sizes()["lazy"] != 0
    styles = link.target.data.PLT_STYLES
    style = "plain"
    if "ibt" in styles and (options.z_ibtplt or options.z_ibt or link.extra.get("features", 0) & FEATURE_IBT):
        style = "ibt"
    if options.shared or options.pie:
        # Entries of images without a fixed address, where those are other code.
        style = {"plain": "pic", "ibt": "ibt-pic"}[style] if "pic" in styles else style
    link.target.ops.use_plt(styles[style])
    return link.target.ops.sizes()["lazy"] != 0


def note(link, name, type, description, align):
    """The bytes of one note (gABI chapter 5, "Note Section"); `name` with its NUL."""
    order = "big" if link.target.data.BIG_ENDIAN else "little"
    header = b"".join(n.to_bytes(4, order) for n in (len(name), len(description), type))
    body = header + name + bytes(-len(name) % 4)
    return body + description + bytes(-(len(body) + len(description)) % align)


def make_notes(link):
    """.note.gnu.build-id (its identifier comes last of all) and .note.package."""
    style = link.options.build_id
    if style:
        size = (len(style) - 2) // 2 if style.startswith("0x") else BUILD_ID_SIZES[style]
        contents = note(link, b"GNU\0", 3, bytes(size), 4)
        keep_bytes(link, add(link, BUILD_ID, ".note.gnu.build-id", SHT_NOTE, SHF_ALLOC, 4, 0, len(contents)), contents)
        link.image["build_id"] = (16, size)
    if hasattr(link.target.data, "extra_notes"):
        for name, owner, type, description in link.target.data.extra_notes(link):
            contents = note(link, owner, type, description, 4)
            keep_bytes(link, add(link, 0, name, SHT_NOTE, SHF_ALLOC, 4, 0, len(contents)), contents)
    if link.options.package_metadata:
        text = link.options.package_metadata.encode("utf-8", "surrogateescape") + b"\0"
        contents = note(link, b"FDO\0", 0xcafe1a7e, text + bytes(-len(text) % 4), 4)
        keep_bytes(link, add(link, 0, ".note.package", SHT_NOTE, SHF_ALLOC, 4, 0, len(contents)), contents)


def make_property_note(link):
    """Merges the .note.gnu.property sections of the inputs into one (Linux ABI extensions, "Program Property")."""
    data = link.target.data
    word = word_size(link)
    ranges = [(1, 1, "max"), (2, 2, "or"), (0xb0000000, 0xb0007fff, "and"), (0xb0008000, 0xb000ffff, "or")]
    ranges += getattr(data, "PROPERTY_RANGES", ())
    if hasattr(data, "report_features") and not link.options.relocatable:
        data.report_features(link)
    properties = notes.merge_properties(link.tables, ranges)
    if hasattr(data, "change_features"):
        data.change_features(link, properties)
    forced = forced_properties(link)
    for key, value in forced.items():
        properties[key] = (4, properties.get(key, (4, 0))[1] | value)
    link.extra["features"] = properties.get(getattr(data, "PROPERTY_FEATURES", 0), (4, 0))[1]
    if not properties:
        return
    order = "big" if data.BIG_ENDIAN else "little"
    description = b""
    for key in sorted(properties):
        size, value = properties[key]
        description += key.to_bytes(4, order) + size.to_bytes(4, order) + value.to_bytes(size, order)
        description += bytes(-len(description) % word)
    contents = note(link, b"GNU\0", 5, description, word)
    keep_bytes(link, add(link, PROPERTY, ".note.gnu.property", SHT_NOTE, SHF_ALLOC, word, 0, len(contents)), contents)


def forced_properties(link):
    """Property -> bits that the command line sets whatever the inputs say."""
    options = link.options
    data = link.target.data
    forced = {}
    if not hasattr(data, "PROPERTY_FEATURES") or hasattr(data, "change_features") or options.relocatable:
        return forced
    bits = 0
    for wanted, bit in ((options.z_ibt, FEATURE_IBT), (options.z_shstk, FEATURE_SHSTK),
                        (options.z_lam_u48, FEATURE_LAM_U48 | FEATURE_LAM_U57),
                        (options.z_lam_u57, FEATURE_LAM_U57)):
        if wanted:
            bits |= bit
    if bits:
        forced[data.PROPERTY_FEATURES] = bits
    if options.z_isa_level and hasattr(data, "PROPERTY_ISA_NEEDED"):
        forced[data.PROPERTY_ISA_NEEDED] = 1 << (options.z_isa_level - 1)
    return forced
