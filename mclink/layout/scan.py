"""What a relocation means for the output: the decision table, and the pass that applies it.

DECISIONS is read as: a field of this FORM, in this kind of output, that refers to a symbol of this kind
(columns: LOCAL, ABSOLUTE, IMPORT_DATA, IMPORT_FUNC, IFUNC), is dealt with by this action.

Kinds  local           defined and bound here; moves with the image
       absolute        a number; undefined weak symbols that are zero too
       import-data     bound at run time, not a function
       import-func     bound at run time, a function
       ifunc           STT_GNU_IFUNC, bound here: its address is known when its resolver has run

Actions  apply         the value is known at link time
         error         cannot be expressed: recompile with -fPIC
         number        an error, unless the symbol is undefined weak or the linker's own
         relative      dynamic relocation that adds the load address
         symbolic      dynamic relocation against the symbol
         irelative     dynamic relocation that calls the resolver
         copy          copy relocation: the data moves into the executable
         canonical     a PLT entry, whose address is the function's address everywhere
         plt           a PLT entry
         symbolic|copy, symbolic|canonical
                       symbolic where the section is writable; a text relocation is never made for it
"""

FORMS = ("word", "narrow", "pcrel", "gotrel", "call")
ACTIONS = ("apply", "error", "number", "relative", "symbolic", "irelative", "copy", "canonical",
           "plt", "symbolic|copy", "symbolic|canonical")

# (form, output) -> actions by kind of symbol
DECISIONS = {
    #                    local       absolute  import-data      import-func           ifunc
    ("word", "exec"):   ("apply",    "apply",  "symbolic|copy", "symbolic|canonical", "canonical"),
    ("word", "pie"):    ("relative", "apply",  "symbolic",      "symbolic",           "irelative"),
    ("word", "shared"): ("relative", "apply",  "symbolic",      "symbolic",           "irelative"),
    ("narrow", "exec"):   ("apply",  "apply",  "copy",          "canonical",          "canonical"),
    ("narrow", "pie"):    ("error",  "apply",  "error",         "error",              "error"),
    ("narrow", "shared"): ("error",  "apply",  "error",         "error",              "error"),
    ("pcrel", "exec"):    ("apply",  "apply",  "copy",          "canonical",          "canonical"),
    ("pcrel", "pie"):     ("apply",  "number", "copy",          "canonical",          "canonical"),
    ("pcrel", "shared"):  ("apply",  "number", "error",         "error",              "canonical"),
    ("gotrel", "exec"):   ("apply",  "apply",  "copy",          "canonical",          "canonical"),
    ("gotrel", "pie"):    ("apply",  "number", "copy",          "canonical",          "canonical"),
    ("gotrel", "shared"): ("apply",  "number", "error",         "error",              "canonical"),
    ("call", "exec"):     ("apply",  "apply",  "plt",           "plt",                "plt"),
    ("call", "pie"):      ("apply",  "apply",  "plt",           "plt",                "plt"),
    ("call", "shared"):   ("apply",  "apply",  "plt",           "plt",                "plt"),
}


def compile_decisions(output, own=None):
    """DECISIONS for output kind "exec", "pie" or "shared" as the core takes them, one byte each.

    own: rows that the target has instead."""
    table = {**DECISIONS, **own} if own else DECISIONS
    return bytes(ACTIONS.index(action) for form in FORMS for action in table[form, output])


def is_small(link):
    """True when every address of the image is sure to be below 2**31.

    Holds for a fixed image made by the default script at a low base; whoever moves sections by a
    script or an option may put them anywhere."""
    options = link.options
    base = options.image_base
    if base is None:
        base = link.target.data.IMAGE_BASE
    return (link.script_path is None and base < 1 << 30
            and not options.section_start and not options.segment_start)


def scan_relocations(link):
    """Scan relocations: what each needs and how it will be applied.

    Leaves Fragment.verdicts, nrelative and ndynamic, gneeds, File.local_needs, Columns.needs."""
    options = link.options
    if options.output_kind == "relocatable":
        return
    from mclink._core import scan
    scan.scan_files(link.tables, compile_decisions(options.output_kind, getattr(link.target.data, "DECISIONS", None)), is_small(link))
    if scan.needs(link.tables) & scan.TEXTREL and options.z_text is None:
        file, section = scan.first_text_relocation(link.tables)
        where = {"exec": "an executable", "pie": "a PIE", "shared": "a shared object"}
        link.diag.warn(f"{file}: relocation in read-only section '{section}'")
        link.diag.warn(f"creating DT_TEXTREL in {where[options.output_kind]}")
