"""What the command line says: one attribute for each thing an option can set.

The values in the class are the defaults. A mutable default is made per link in `__init__`.
None always means "not said": the target, the kind of output or the linker script decides.
Sizes and addresses are in bytes, 0 <= n < 2**64.
"""


class Options:
    """The parsed command line of one link.

    `mclink.options.parse` makes it; later phases read it and never write it.
    """

    # -- the command line itself
    program = "ld.mclink"       # argv[0] as given
    action = "link"             # "link", "help", "target-help", "version", "explain", "print-gcc-dir",
                                # "print-output-format", "print-sysroot": see `run_action`
    print_version = 0           # 1: -v, 2: -V (emulations too); the link goes on when there are inputs
    tree = None                 # tree.InputTree: the positional items of the command line
    early_messages = ()         # ("warning"|"note", text) met while parsing; Diagnostics says them

    # -- output file
    output = "a.out"            # -o
    output_kind = "exec"        # "exec", "pie", "shared" or "relocatable": the last of -no-pie, -pie,
                                # -shared, -r, -Ur on the line
    shared = False              # output_kind == "shared"
    pie = False                 # output_kind == "pie"
    relocatable = False         # output_kind == "relocatable"
    static = False              # -static/-Bstatic/-dn/-non_shared came last among these and -Bdynamic...
    emit_relocs = False         # -q
    oformat = None              # --oformat: BFD name of the output format ("binary", "elf64-x86-64")
    emulation = None            # -m: GNU emulation name; None: program name, script or first object
    program_target = None       # target triple in front of "-ld" in argv[0], or None
    endian = None               # "big", "little": -EB, -EL
    omagic = False              # -N: text writable, no page alignment, static only
    nmagic = False              # -n: no page alignment of segments, static only
    entry = None                # -e: symbol name or number as given
    image_base = None           # --image-base
    linker_version = False      # --enable-linker-version: LINKER_VERSION in scripts has an effect
    early_sections = None       # names in section_start that were given in front of any -T, in order
    section_start = None        # dict: section name -> address (--section-start, -Ttext, -Tdata, -Tbss)
    segment_start = None        # dict: SEGMENT_START name -> address ("text-segment", ".text", ...)
    physical_image_base = None  # --physical-image-base
    build_id = None             # None, "fast", "md5", "sha1", "sha256", "tree", "uuid", "0x<hex digits>"
    package_metadata = None     # --package-metadata: JSON text, percent-decoded
    strip = "none"              # "none", "debug" (-S), "all" (-s)
    discard = None              # local symbols: None (those in merged sections), "locals" (-X),
                                # "all" (-x), "none" (--discard-none)
    retain_symbols_file = None  # --retain-symbols-file
    strip_discarded = True      # --[no-]strip-discarded
    compress_debug = ("none", None)  # (none|zlib|zlib-gnu|zstd, level or None)
    compress_sections = None    # list of (glob, style, level or None)
    hash_style = None           # "sysv", "gnu", "both", "none"
    optimize = 1                # -O level
    split_by_file = None        # --split-by-file[=SIZE]: bytes, 0 when given without a size
    split_by_reloc = None       # --split-by-reloc[=COUNT]
    separate_debug_file = None  # --separate-debug-file[=FILE]: "" when no name was given
    spare_dynamic_tags = 5      # --spare-dynamic-tags
    spare_program_headers = 0   # --spare-program-headers
    section_header = True       # -z [no]sectionheader
    force_group_allocation = False  # --force-group-allocation
    out_implib = None           # --out-implib
    in_implib = None            # --in-implib
    cmse_implib = False         # --cmse-implib

    # -- dynamic linking
    dynamic_linker = None       # -dynamic-linker, -I
    no_dynamic_linker = False   # --no-dynamic-linker
    soname = None               # -h, -soname; an empty one is None
    rpath = None                # list of -rpath and -R directories, in order, as given
    rpath_link = None           # list of -rpath-link values, split at ":"
    new_dtags = True            # --enable-new-dtags: DT_RUNPATH instead of DT_RPATH
    init = "_init"              # -init: function of DT_INIT
    fini = "_fini"              # -fini: function of DT_FINI
    audit = None                # list of --audit values
    depaudit = None             # list of --depaudit and -P values
    auxiliary = None            # list of -f values: DT_AUXILIARY
    filter = None               # list of -F values: DT_FILTER
    export_dynamic = False      # -E
    export_dynamic_symbols = None       # list of globs (--export-dynamic-symbol)
    export_dynamic_symbol_lists = None  # list of paths (--export-dynamic-symbol-list)
    dynamic_lists = None        # list of paths (--dynamic-list)
    dynamic_list_data = False   # --dynamic-list-data
    dynamic_list_cpp_new = False       # --dynamic-list-cpp-new
    dynamic_list_cpp_typeinfo = False  # --dynamic-list-cpp-typeinfo
    bsymbolic = "none"          # "none", "all", "functions", "non-weak", "non-weak-functions"
    bgroup = False              # -Bgroup: DF_1_GROUP
    exclude_libs = None         # list of archive base names, or ["ALL"]
    version_scripts = None      # list of paths (--version-script)
    default_symver = False      # --default-symver
    default_imported_symver = False  # --default-imported-symver
    undefined_version = True    # --[no-]undefined-version
    version_exports_section = None   # --version-exports-section
    eh_frame_hdr = False        # --eh-frame-hdr
    pack_dyn_relocs = "none"    # "none", "relr", "android", "android+relr"
    android_relr_tags = False   # --use-android-relr-tags
    apply_dynamic_relocs = None # --[no-]apply-dynamic-relocs
    gnu_unique = True           # --no-gnu-unique: STB_GNU_UNIQUE becomes STB_GLOBAL
    unwind_info = True          # --[no-]ld-generated-unwind-info: FDEs for the PLT
    android_memtag_mode = None  # "none", "async", "sync"
    android_memtag_heap = False # --android-memtag-heap
    android_memtag_stack = False     # --android-memtag-stack

    # -- search
    library_paths = None        # list of -L directories in order, "=" and $SYSROOT replaced
    sysroot = ""                # --sysroot
    nostdlib = False            # -nostdlib: only -L directories, no SEARCH_DIR of scripts
    solaris_path = None         # -Y
    remap_inputs = None         # list of (glob, path) (--remap-inputs)

    # -- symbols
    undefined = None            # list of -u names
    undefined_globs = None      # list of --undefined-glob patterns
    require_defined = None      # list of --require-defined names
    wrap = None                 # list of --wrap names, each once
    defsym = None               # list of (symbol, expression text, position)
    trace_symbols = None        # list of -y names
    unresolved_in_objects = None     # "error", "warn", "ignore": undefined symbols of objects
    unresolved_in_shared = None      # the same for undefined symbols of shared libraries
    ignore_unresolved = None    # list of --ignore-unresolved-symbol names
    allow_multiple_definition = False  # --allow-multiple-definition, -z muldefs
    define_common = None        # True: -d, -dc, -dp; False: --no-define-common
    sort_common = None          # None, "descending", "ascending"
    warn_common = False         # --warn-common
    demangle = True             # --[no-]demangle
    start_stop_gc = False       # -z start-stop-gc
    start_stop_visibility = "protected"  # -z start-stop-visibility=

    # -- sections
    scripts = None              # list of -T paths
    default_script = None       # -dT path
    gc_sections = False         # --gc-sections
    gc_keep_exported = False    # --gc-keep-exported
    icf = "none"                # "none", "safe", "all"
    keep_unique = None          # list of --keep-unique names
    ignore_data_address_equality = False  # --ignore-data-address-equality
    merge_sections = True       # --no-string-merge: mergeable sections are copied as they are
    orphan_handling = "place"   # "place", "discard", "warn", "error"
    sort_section = None         # None, "name", "alignment", "none"
    unique = None               # None, or list of section globs; [] is --unique alone (orphans)
    check_sections = True       # --[no-]check-sections
    symbol_ordering_file = None # --symbol-ordering-file
    section_ordering_file = None     # --section-ordering-file
    call_graph_ordering_file = None  # --call-graph-ordering-file
    call_graph_profile_sort = True   # --[no-]call-graph-profile-sort
    shuffle_sections = None     # list of --shuffle-sections values as given
    execute_only = False        # --execute-only
    rosegment = True            # --[no-]rosegment
    non_contiguous_regions = False   # --enable-non-contiguous-regions
    discard_sections = None     # list of --discard-section names
    relax = None                # True: --relax, False: --no-relax
    gp_size = None              # -G: bytes
    gdb_index = False           # --gdb-index
    debug_names = False         # --debug-names

    # -- -z keywords
    z_now = False
    z_relro = None              # None: the target's default (on for Linux)
    z_text = None               # None: text relocations get a warning; True: error; False: allowed
    z_separate_code = None      # "none", "code" or "loadable" (separate-loadable-segments)
    z_max_page_size = None
    z_common_page_size = None
    z_execstack = None          # True, False; None: from .note.GNU-stack of the inputs
    z_stack_size = None         # PT_GNU_STACK p_memsz
    z_combreloc = True
    z_copyreloc = True
    z_common = None             # True: common symbols stay STT_COMMON
    z_dynamic_undefined_weak = None
    z_extern_protected_data = None
    z_indirect_extern_access = None
    z_keep_text_prefix = False  # -z keep-text-section-prefix
    z_ibt = False
    z_ibtplt = False
    z_shstk = False
    z_isa_level = 0             # 1 (baseline) to 4: GNU_PROPERTY_X86_ISA_1_NEEDED
    z_lam_u48 = False
    z_lam_u57 = False
    z_bti = False               # force-bti
    z_pac_plt = False
    z_gcs = None                # "always", "never", "implicit"
    z_rel = None                # True: REL, False: RELA for dynamic relocations
    z_reports = None            # dict: "cet-report", "bti-report", ... -> "none", "warning", "error"
    z_reloc_overflow = True
    z_report_relative = False   # report-relative-reloc
    z_call_nop = None           # call-nop=PADDING as given
    z_unique_symbol = False
    z_rodynamic = False
    z_gnustack = True           # nognustack: no PT_GNU_STACK
    z_wxneeded = False
    z_hazardplt = False
    z_retpolineplt = False
    z_dead_reloc = None         # list of (glob, value): dead-reloc-in-nonalloc
    z_lrodata_after_bss = False
    z_crel = False
    z_rewrite_endbr = False
    z_ifunc_noplt = False
    z_df = 0                    # DF_ bits asked for: origin 1
    z_df_1 = 0                  # DF_1_ bits asked for: now 1, global 2, nodelete 8, ...

    # -- messages and reports
    error_limit = 20            # 0: no limit
    fatal_warnings = False
    no_warnings = False
    noinhibit_exec = False
    color_diagnostics = "auto"  # "auto", "always", "never"
    error_handling_script = None
    warn_textrel = None         # True: --warn-textrel, --warn-shared-textrel
    warn_execstack = None       # None: GNU ld's default
    warn_rwx_segments = None
    warn_mismatch = True
    warn_search_mismatch = True
    warn_section_align = False
    warn_backrefs = False
    trace = 0                   # how many -t
    verbose = 0                 # --verbose[=N]
    stats = False
    time_trace = None           # --time-trace[=FILE]: path, "" for <output>.time-trace
    map_file = None             # -Map
    print_map = False           # -M: map to standard output
    print_map_discarded = True
    cref = False
    print_gc_sections = False
    print_icf_sections = False
    print_memory_usage = False
    print_archive_stats = None  # path
    print_dependencies = False
    print_symbol_order = None   # path
    why_extract = None          # path
    why_live = None             # list of globs
    dependency_file = None
    reproduce = None            # path of the tar file

    # -- resources and plugins
    threads = None              # number of threads, >= 1; None: the inputs decide
    plugins = None              # list of -plugin paths
    plugin_opts = None          # list of -plugin-opt values
    lto_options = None          # list of --lto-... as given
    mmap_output = True          # --[no-]mmap-output-file

    # -- options of single targets
    target1 = None              # ARM: "rel", "abs"
    target2 = None              # ARM: "rel", "abs", "got-rel"
    fix_v4bx = None             # ARM: None, "fix", "interworking"
    be8 = False                 # ARM: little-endian code in big-endian output
    be32 = False                # ARM: big-endian code
    fix_cortex_a8 = None        # ARM
    fix_arm1176 = None          # ARM
    use_blx = False             # ARM
    vfp11_fix = None            # ARM: "none", "scalar", "vector"
    stm32l4xx_fix = None        # ARM: "default", "all", "none"
    pic_veneer = False          # ARM
    merge_exidx = True          # ARM
    long_plt = False            # ARM
    enum_size_warning = True    # ARM
    wchar_size_warning = True   # ARM
    fix_cortex_a53_843419 = None     # AArch64: "full" or another value of the option; None: off
    fix_cortex_a53_835769 = False    # AArch64
    stub_group_size = None      # --stub-group-size: bytes, may be negative
    insn32 = None               # MIPS
    ignore_branch_isa = False   # MIPS
    compact_branches = None     # MIPS
    toc_optimize = True         # PPC64
    multi_toc = True            # PPC64
    opd_optimize = True         # PPC64
    tls_get_addr_optimize = None     # PPC64
    power10_stubs = None        # PPC64: "yes", "no", "auto"
    pcrel_optimize = True       # PPC64
    inline_optimize = True      # PPC64
    save_restore_funcs = None   # PPC64
    relax_gp = None             # RISC-V

    def __init__(self):
        self.given = []         # (word as given, row of the table) of each option, in order
        self.early_messages = []
        self.section_start = {}
        self.early_sections = []
        self.segment_start = {}
        self.z_reports = {}
        for name in LIST_OPTIONS:
            setattr(self, name, [])


LIST_OPTIONS = (
    "compress_sections", "rpath", "rpath_link", "audit", "depaudit", "auxiliary", "filter",
    "export_dynamic_symbols", "export_dynamic_symbol_lists", "dynamic_lists", "exclude_libs",
    "version_scripts", "library_paths", "remap_inputs", "undefined", "undefined_globs",
    "require_defined", "wrap", "defsym", "trace_symbols", "ignore_unresolved", "scripts",
    "keep_unique", "shuffle_sections", "discard_sections", "z_dead_reloc", "why_live", "plugins",
    "plugin_opts", "lto_options",
)
