"""The default linker scripts: which output sections there are, in which order, and which symbols.

A script is put together from named parts in a fixed order.  A target gives a Style: names and numbers,
and its own text for the parts in which it differs.  The result is an ordinary linker script, printed by
--verbose and parsed like one, so the layout knows no other rules.

The sections, their order and the symbols are those of GNU ld 2.40 (``ld --verbose`` with the same
options); the unit tests compare the two.

Variants, as GNU ld chooses among them:

    -r, -Ur                      each input section name is its own output section, at address 0
    -N                           no page alignment anywhere; goes before -shared and -pie
    -n                           as for -z noseparate-code -z nocombreloc; goes before -shared and -pie
    else                         -shared, -pie or neither; -z separate-code; -z nocombreloc;
                                 -z now, by which .got.plt becomes part of .got (needs combreloc, and
                                 RELRO unless the code is separate)
"""


def _names(name, letters):
    """Patterns for .name, -fdata-sections' .name.x and the old COMDAT .gnu.linkonce.letters.x."""
    return f"{name} {name}.* .gnu.linkonce.{letters}.*"


def section_line(name, *patterns, attributes=""):
    """One line for a section without symbols."""
    body = " ".join(f"*({pattern})" for pattern in patterns)
    return f"  {name} : {attributes}{{ {body} }}\n"


def edge(variant, name):
    """A symbol for an edge of a segment: defined in programs, on demand in libraries."""
    return f"PROVIDE ({name} = .);" if variant.kind == "shared" else f"{name} = .;"


def _start(style, variant):
    base = style.text_base if variant.kind == "exec" else 0
    start = f'SEGMENT_START("text-segment", {base:#x})'
    text = f"  . = {start} + SIZEOF_HEADERS;\n"
    return text if variant.kind == "shared" else f"  PROVIDE (__executable_start = {start});\n{text}"


def _interp(style, variant):
    return "" if variant.kind == "shared" else section_line(".interp", ".interp")


def _dynamic_tables(style, variant):
    return "".join(section_line(name, name) for name in (
        ".hash", ".gnu.hash", ".dynsym", ".dynstr", ".gnu.version", ".gnu.version_d",
        ".gnu.version_r"))


# Sections that may have dynamic relocations, with the letters of their old COMDAT names.
RELOCATED = {"init": "", "text": "t", "fini": "", "rodata": "r", "data.rel.ro": "d.rel.ro",
              "data": "d", "tdata": "td", "tbss": "tb", "ctors": "", "dtors": "", "got": "",
              "bss": "b"}


def _relocated(style, combined):
    names = dict(RELOCATED)
    if combined and style.rel == "rela":
        # Part of .rela.data.* there, and the order among combined relocations is lost anyway.
        del names["data.rel.ro"]
    names.update(style.rel_extra)
    names["ifunc"] = ""
    for name, letters in names.items():
        section = f".{style.rel}.{name}"
        yield section, (f"{section} {section}.* .{style.rel}.gnu.linkonce.{letters}.*" if letters
                        else section)


def _rel_dyn(style, variant):
    if variant.combreloc:
        body = "".join(f"    *({patterns})\n" for _, patterns in _relocated(style, True))
        return f"  .{style.rel}.dyn :\n  {{\n{body}  }}\n"
    return "".join(section_line(name, patterns) for name, patterns in _relocated(style, False))


def _rel_plt(style, variant):
    rel = style.rel
    bounds = [f"    PROVIDE_HIDDEN (__{rel}_iplt_{edge} = .);\n" if variant.kind == "exec" else ""
              for edge in ("start", "end")]
    return (f"  .{rel}.plt :\n  {{\n    *(.{rel}.plt)\n{bounds[0]}    *(.{rel}.iplt)\n{bounds[1]}"
            "  }\n")


def _code_page(style, variant):
    return "  . = ALIGN(CONSTANT (MAXPAGESIZE));\n" if variant.separate else ""


def _kept(name):
    return f"  {name} :\n  {{\n    KEEP (*(SORT_NONE({name})))\n  }}\n"


_TEXT_GROUPS = ((".text.unlikely", ".text.unlikely .text.*_unlikely .text.unlikely.*"),
                (".text.exit", ".text.exit .text.exit.*"),
                (".text.startup", ".text.startup .text.startup.*"),
                (".text.hot", ".text.hot .text.hot.*"))
TEXT_LAST = "    *(SORT(.text.sorted.*))\n    *(.text .stub .text.* .gnu.linkonce.t.*)\n"
TEXT_WARNINGS = "    *(.gnu.warning)\n"


def text_section(first="", last="", tail=""):
    """The part for .text; the arguments are lines at its start and end, and what follows "}"."""
    def part(style, variant):
        if variant.text_prefix:
            groups = "".join(section_line(name, patterns) for name, patterns in _TEXT_GROUPS)
            inside = ""
        else:
            groups = ""
            inside = "".join(f"    *({patterns})\n" for _, patterns in _TEXT_GROUPS)
        return (f"{groups}  .text :\n  {{\n{first}{inside}{TEXT_LAST}{TEXT_WARNINGS}{last}"
                f"  }}{tail}\n")
    return part


def _etext(style, variant):
    return ("  PROVIDE (__etext = .);\n  PROVIDE (_etext = .);\n  PROVIDE (etext = .);\n")


def _rodata_page(style, variant):
    if not variant.separate:
        return ""
    page = "CONSTANT (MAXPAGESIZE)"
    return (f"  . = ALIGN({page});\n"
            "  /* The same place within a page, one page up, unless an option says where.  */\n"
            f'  . = SEGMENT_START("rodata-segment", ALIGN({page}) + (. & ({page} - 1)));\n')


def _rodata(style, variant):
    return section_line(".rodata", _names(".rodata", "r")) + section_line(".rodata1", ".rodata1")


_UNWIND_RO = ((".sframe", ".sframe", ".sframe.*"),
              (".gcc_except_table", ".gcc_except_table .gcc_except_table.*"),
              (".gnu_extab", ".gnu_extab*"),
              (".exception_ranges", ".exception_ranges*"))
_UNWIND_RW = ((".sframe", ".sframe", ".sframe.*"),
              (".gnu_extab", ".gnu_extab"),
              (".gcc_except_table", ".gcc_except_table .gcc_except_table.*"),
              (".exception_ranges", ".exception_ranges*"))


def _unwind(constraint, rows):
    text = f"  .eh_frame : {constraint} {{ KEEP (*(.eh_frame)) *(.eh_frame.*) }}\n"
    return text + "".join(section_line(*row, attributes=constraint + " ") for row in rows)


def unwind_ro(style, variant):
    return (section_line(".eh_frame_hdr", ".eh_frame_hdr", ".eh_frame_entry .eh_frame_entry.*")
            + _unwind("ONLY_IF_RO", _UNWIND_RO))


def _data_segment(style, variant):
    if variant.pages == "none":
        return "  . = .;\n"
    first = "  . = ALIGN(CONSTANT (MAXPAGESIZE));\n" if variant.separate == 2 else ""
    return (f"{first}  . = DATA_SEGMENT_ALIGN (CONSTANT (MAXPAGESIZE), CONSTANT (COMMONPAGESIZE));\n")


def _unwind_rw(style, variant):
    return _unwind("ONLY_IF_RW", _UNWIND_RW)


def _hidden(variant, symbol):
    """A line with a bound that start-up code reads; libraries have none."""
    return "" if variant.kind == "shared" else f"    PROVIDE_HIDDEN ({symbol} = .);\n"


def _tls(style, variant):
    return (f"  .tdata :\n  {{\n{_hidden(variant, '__tdata_start')}"
            f"    *({_names('.tdata', 'td')})\n  }}\n"
            + section_line(".tbss", _names(".tbss", "tb"), ".tcommon"))


_CRT_FILES = "*crtbegin.o *crtbegin?.o *crtend.o *crtend?.o"


def _array(variant, name, old):
    start, end = (_hidden(variant, f"__{name}_{edge}") for edge in ("start", "end"))
    if old:
        body = (f"    KEEP (*(SORT_BY_INIT_PRIORITY(.{name}.*) SORT_BY_INIT_PRIORITY({old}.*)))\n"
                f"    KEEP (*(.{name} EXCLUDE_FILE ({_CRT_FILES}) {old}))\n")
    else:
        body = f"    KEEP (*(.{name}))\n"
    return f"  .{name} :\n  {{\n{start}{body}{end}  }}\n"


def _arrays(style, variant):
    return (_array(variant, "preinit_array", "") + _array(variant, "init_array", ".ctors")
            + _array(variant, "fini_array", ".dtors"))


def _old_array(name):
    # crtbegin.o holds the start marker and crtend.o the end marker of these lists.
    return (f"  {name} :\n  {{\n    KEEP (*crtbegin.o({name}))\n    KEEP (*crtbegin?.o({name}))\n"
            f"    KEEP (*(EXCLUDE_FILE (*crtend.o *crtend?.o) {name}))\n"
            f"    KEEP (*(SORT({name}.*)))\n    KEEP (*({name}))\n  }}\n")


def _ctors(style, variant):
    return _old_array(".ctors") + _old_array(".dtors")


def _relro(style, variant):
    return section_line(".data.rel.ro", ".data.rel.ro.local* .gnu.linkonce.d.rel.ro.local.*",
                    _names(".data.rel.ro", "d.rel.ro"))


def relro_end(variant, kept):
    """The line that ends RELRO; *kept*: bytes of the next section that are covered too."""
    return ("" if variant.pages == "none" else
            f"  . = DATA_SEGMENT_RELRO_END ({kept}, .);\n")


def _got(style, variant):
    if variant.now:
        return section_line(".got", ".got.plt", ".igot.plt", ".got", ".igot") + relro_end(variant, 0)
    header = style.got_header
    kept = f"SIZEOF (.got.plt) >= {header} ? {header} : 0" if header else 0
    return (section_line(".got", ".got", ".igot") + relro_end(variant, kept)
            + section_line(".got.plt", ".got.plt", ".igot.plt"))


def data_section(first=""):
    """The part for .data; *first* are lines at its start."""
    return (f"  .data :\n  {{\n{first}    *({_names('.data', 'd')})\n    SORT(CONSTRUCTORS)\n  }}\n"
            + section_line(".data1", ".data1"))


def _edata(style, variant):
    return f"  {edge(variant, '_edata')} PROVIDE (edata = .);\n  . = .;\n"


def _bss_start(style, variant):
    return f"  {edge(variant, '__bss_start')}\n"


def _bss(style, variant):
    word = f"{style.bits} / 8"
    return ("  .bss :\n  {\n    *(.dynbss)\n"
            f"    *({_names('.bss', 'b')})\n    *(COMMON)\n"
            "    /* _end is aligned, and .bss reaches it, whether or not there is a .bss.  */\n"
            f"    . = ALIGN(. != 0 ? {word} : 1);\n  }}\n")


def _end_align(style, variant):
    return f"  . = ALIGN({style.bits} / 8);\n"


def _ldata_start(style, variant):
    return '  . = SEGMENT_START("ldata-segment", .);\n'


def large_bss(style, variant):
    """.lbss of targets with a large code model."""
    return ("  .lbss :\n  {\n    *(.dynlbss)\n"
            f"    *({_names('.lbss', 'lb')})\n    *(LARGE_COMMON)\n  }}\n")


def large_data(style, variant):
    """.lrodata and .ldata of targets with a large code model."""
    page = "CONSTANT (MAXPAGESIZE)"
    next_page = f"ALIGN({page}) + (. & ({page} - 1))"
    return (f"  .lrodata {next_page} :\n  {{\n    *({_names('.lrodata', 'lr')})\n  }}\n"
            f"  .ldata {next_page} :\n  {{\n    *({_names('.ldata', 'l')})\n"
            f"    . = ALIGN(. != 0 ? {style.bits} / 8 : 1);\n  }}\n")


def _end(style, variant):
    end = "" if variant.pages == "none" else "  . = DATA_SEGMENT_END (.);\n"
    return f"  {edge(variant, '_end')} PROVIDE (end = .);\n{end}"


_STABS = (".stab", ".stabstr", ".stab.excl", ".stab.exclstr", ".stab.index", ".stab.indexstr",
          ".comment")
_DEBUG = (".debug", ".line", ".debug_srcinfo", ".debug_sfnames", ".debug_aranges", ".debug_pubnames",
          ".debug_info", ".debug_abbrev", ".debug_line", ".debug_frame", ".debug_str", ".debug_loc",
          ".debug_macinfo", ".debug_weaknames", ".debug_funcnames", ".debug_typenames",
          ".debug_varnames", ".debug_pubtypes", ".debug_ranges", ".debug_addr", ".debug_line_str",
          ".debug_loclists", ".debug_macro", ".debug_names", ".debug_rnglists", ".debug_str_offsets",
          ".debug_sup")
_DEBUG_PATTERNS = {".debug_info": ".debug_info .gnu.linkonce.wi.*",
                   ".debug_line": ".debug_line .debug_line.* .debug_line_end"}


def _debug(style, variant):
    patterns = {} if variant.kind in ("relocatable", "constructors") else _DEBUG_PATTERNS
    notes = ".gnu.build.attributes"
    if patterns:
        notes += " .gnu.build.attributes.*"
    return ("".join(section_line(name + " 0", name) for name in _STABS)
            + section_line(".gnu.build.attributes", notes)
            + "".join(section_line(name + " 0", patterns.get(name, name)) for name in _DEBUG))


def _attributes(style, variant):
    return "  .gnu.attributes 0 : { KEEP (*(.gnu.attributes)) }\n"


def _discard(style, variant):
    return "  /DISCARD/ : { *(.note.GNU-stack) *(.gnu_debuglink) *(.gnu.lto_*) }\n"


# The parts of a script for programs and libraries, in order.  Style.parts replaces by name.
PARTS = (
    ("start", _start),
    ("interp", _interp),
    ("build_id", section_line(".note.gnu.build-id", ".note.gnu.build-id")),
    ("dynamic_tables", _dynamic_tables),
    ("rel_dyn", _rel_dyn),
    ("rel_plt", _rel_plt),
    ("relr", section_line(".relr.dyn", ".relr.dyn")),
    ("code_page", _code_page),
    ("init", _kept(".init")),
    ("plt", section_line(".plt", ".plt", ".iplt")),
    ("text", text_section()),
    ("fini", _kept(".fini")),
    ("etext", _etext),
    ("rodata_page", _rodata_page),
    ("rodata", _rodata),
    ("small_rodata", ""),
    ("unwind_ro", unwind_ro),
    ("data_segment", _data_segment),
    ("unwind_rw", _unwind_rw),
    ("tls", _tls),
    ("arrays", _arrays),
    ("ctors", _ctors),
    ("jcr", "  .jcr : { KEEP (*(.jcr)) }\n"),
    ("relro", _relro),
    ("dynamic", section_line(".dynamic", ".dynamic")),
    ("got", _got),
    ("data", data_section()),
    ("small_data", ""),
    ("edata", _edata),
    ("bss_start", _bss_start),
    ("before_bss", ""),
    ("bss", _bss),
    ("large_bss", ""),
    ("after_bss", ""),
    ("bss_align", _end_align),
    ("ldata_start", _ldata_start),
    ("large_data", ""),
    ("end_align", _end_align),
    ("before_end", ""),
    ("end", _end),
    ("debug", _debug),
    ("attributes", _attributes),
    ("discard", _discard),
)


def _at_zero(name, patterns=None, constraint=""):
    """A line of the -r script."""
    return f"  {name} 0 : {constraint}{{ *({patterns or name}) }}\n"


def _relocatable_rel(style, variant):
    names = dict(RELOCATED)
    names.update(style.rel_extra)
    names.update({"ifunc": "", "plt": ""})
    return "".join(_at_zero(f".{style.rel}.{name}") for name in names)


def _kept_at_zero(name):
    return f"  {name} 0 : {{ KEEP (*(SORT_NONE({name}))) }}\n"


def _relocatable_unwind(constraint, names):
    return (f"  .eh_frame 0 : {constraint} {{ KEEP (*(.eh_frame)) }}\n"
            + "".join(_at_zero(name, patterns, constraint + " ") for name, patterns in names))


def _relocatable_data(style, variant):
    constructors = "SORT(CONSTRUCTORS) " if variant.kind == "constructors" else ""
    return f"  .data 0 : {{ *(.data) {constructors}}}\n" + _at_zero(".data1")


# The parts of the script for -r, in order.  Style.relocatable replaces by name.  Sections whose names
# carry a function's or variable's name match nothing here and stay apart as orphans.
RELOCATABLE_PARTS = (
    ("interp", _at_zero(".interp") + _at_zero(".note.gnu.build-id")),
    ("dynamic_tables", "".join(_at_zero(name) for name in (
        ".hash", ".gnu.hash", ".dynsym", ".dynstr", ".gnu.version", ".gnu.version_d",
        ".gnu.version_r"))),
    ("rel", _relocatable_rel),
    ("relr", section_line(".relr.dyn", ".relr.dyn")),
    ("init", _kept_at_zero(".init")),
    ("plt", _at_zero(".plt")),
    ("text", "  .text 0 : { *(.text .stub) *(.gnu.warning) }\n"),
    ("fini", _kept_at_zero(".fini")),
    ("rodata", _at_zero(".rodata") + _at_zero(".rodata1")),
    ("small_rodata", ""),
    ("unwind_ro", _at_zero(".eh_frame_hdr") + _relocatable_unwind("ONLY_IF_RO", (
        (".sframe", ""), (".gcc_except_table", ""), (".gnu_extab", ".gnu_extab*"),
        (".exception_ranges", "")))),
    ("unwind_rw", _relocatable_unwind("ONLY_IF_RW", (
        (".sframe", ""), (".gnu_extab", ""), (".gcc_except_table", ""), (".exception_ranges", "")))),
    ("tls", _at_zero(".tdata") + _at_zero(".tbss")),
    ("jcr", "  .jcr 0 : { KEEP (*(.jcr)) }\n"),
    ("dynamic", _at_zero(".dynamic")),
    ("got", _at_zero(".got") + _at_zero(".got.plt")),
    ("data", _relocatable_data),
    ("small_data", ""),
    ("bss", _at_zero(".bss")),
    ("large_data", ""),
    ("debug", _debug),
    ("attributes", _attributes),
)


def called(value):
    """What a function returns, or the value itself."""
    return value() if callable(value) else value


def script_text(style, variant):
    """The default script of *style* (a Style) for *variant* (a Variant), as --verbose prints it."""
    relocatable = variant.kind in ("relocatable", "constructors")
    default, big, little = style.formats
    pieces = [f'OUTPUT_FORMAT("{default}", "{big}", "{little}")\nOUTPUT_ARCH({style.arch})\n']
    if relocatable:
        parts, own = RELOCATABLE_PARTS, called(style.relocatable)
    else:
        parts, own = PARTS, called(style.parts)
        pieces.append(f"ENTRY({style.entry})\n")
        pieces += [f'SEARCH_DIR("{folder}");\n' for folder in style.search_dirs()]
    pieces.append("SECTIONS\n{\n")
    for name, standard in parts:
        part = own.get(name, standard)
        pieces.append(part if type(part) is str else part(style, variant))
    pieces.append("}\n")
    return "".join(pieces)
