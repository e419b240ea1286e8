"""OPTIONS: one row an option. Parser, --help, --explain-options and the manual are made from it.

A row is (spellings, argument, action, name, value, effect, help):

  spellings  the names, separated by spaces, written as users write them. A name of one letter is
             a short option: its value may be joined (-Lx). Any longer name is accepted with one
             dash and with two, except that those that begin with "o" need two (-omagic is -o magic;
             GNU ld manual, Options), and its value is joined by "=" or is the next word.
  argument   "" for none, "NAME" for a value that must be there, "[NAME]" for one that may be
             joined only (by "=", or directly after a short option)
  action     what the parser does:
               set     attribute `name` of Options = value
               str     attribute = the argument          int    ... as an integer
               append  the argument is appended          hex    ... as hexadecimal, 0x or not
               choice  the argument, which must be one of the words of `value`
               state   State attribute `name` = value, from here on
               none    nothing
             any other word is the method of the parser that is called with (name, value, argument)
  effect     ""          has effect
             "-why"      is accepted and has none here, for that reason
             "@targets"  has effect for these targets only
             "~"         is understood and not acted on by this version
             "!why"      is refused with an error
  help       one line for --help, beginning with a capital, without a stop

`COMMON` holds what compiler drivers pass on every link. The rest is in modules of their own, which
are imported when a word is not found here: reading 600 rows would cost a hello-world link a
twentieth of its time.
"""

COMMON = (
    # -- output
    ("-o --output", "FILE", "str", "output", None, "", "Write the output to FILE"),
    ("-m --emulation", "EMULATION", "on_emulation", "emulation", None, "", "Link for EMULATION"),
    ("-shared -Bshareable", "", "set", "output_kind", "shared", "", "Make a shared library"),
    ("-pie --pie --pic-executable", "", "set", "output_kind", "pie", "",
     "Make a position-independent executable"),
    ("-no-pie -nopie --no-pic-executable", "", "set", "output_kind", "exec", "",
     "Make an executable at a fixed address (default)"),
    ("-r -i --relocatable", "", "set", "output_kind", "relocatable", "",
     "Make one relocatable object of the inputs"),
    ("-static -Bstatic -dn -non_shared", "", "state", "static", True, "",
     "Search archives only for the -l that follow"),
    ("-Bdynamic -dy -call_shared", "", "state", "static", False, "",
     "Search shared libraries too for the -l that follow (default)"),
    ("-EL", "", "set", "endian", "little", "", "Link little-endian objects"),
    ("-EB", "", "set", "endian", "big", "", "Link big-endian objects"),
    ("-e --entry", "ADDRESS", "str", "entry", None, "", "Start at symbol or number ADDRESS"),
    ("--build-id", "[STYLE]", "on_build_id", "build_id", None, "",
     "Write a build ID note: fast, md5, sha1, sha256, tree, uuid, 0xHEX, none"),
    ("--hash-style", "STYLE", "choice", "hash_style", "sysv gnu both none", "",
     "Symbol hash tables of the dynamic section: sysv, gnu, both or none"),
    ("--eh-frame-hdr", "", "set", "eh_frame_hdr", True, "", "Make .eh_frame_hdr and PT_GNU_EH_FRAME"),
    ("--no-eh-frame-hdr", "", "set", "eh_frame_hdr", False, "", "Make no .eh_frame_hdr"),
    ("-s --strip-all", "", "set", "strip", "all", "", "Leave out all symbols and debug sections"),
    ("-S --strip-debug", "", "set", "strip", "debug", "", "Leave out debug sections and symbols"),
    ("-x --discard-all", "", "set", "discard", "all", "", "Leave out all local symbols"),
    ("-X --discard-locals", "", "set", "discard", "locals", "", "Leave out temporary local symbols"),
    ("-O", "LEVEL", "on_optimize", "optimize", None, "",
     "Optimise the output: from 2 on, merge common tails of strings"),
    ("-q --emit-relocs", "", "set", "emit_relocs", True, "", "Keep relocations in the output"),
    ("--gc-sections", "", "set", "gc_sections", True, "", "Leave out sections that nothing refers to"),
    ("--no-gc-sections", "", "set", "gc_sections", False, "", "Keep all sections (default)"),
    # -- dynamic linking
    ("-dynamic-linker -I", "FILE", "on_dynamic_linker", "dynamic_linker", None, "",
     "Name FILE as the program interpreter"),
    ("--no-dynamic-linker", "", "set", "no_dynamic_linker", True, "",
     "Name no program interpreter (static PIE)"),
    ("-h -soname", "NAME", "on_soname", "soname", None, "", "Set DT_SONAME"),
    ("-rpath", "DIR", "on_rpath", "rpath", None, "", "Add DIR to DT_RUNPATH"),
    ("-rpath-link", "DIR", "on_rpath_link", "rpath_link", None, "",
     "Search DIR for the libraries that libraries need"),
    ("-R", "FILE|DIR", "on_r", "rpath", None, "",
     "Like -rpath for a folder, like --just-symbols for a file"),
    ("--enable-new-dtags", "", "set", "new_dtags", True, "", "Write DT_RUNPATH (default)"),
    ("--disable-new-dtags", "", "set", "new_dtags", False, "", "Write DT_RPATH"),
    ("-E --export-dynamic", "", "set", "export_dynamic", True, "",
     "Export all global symbols of an executable"),
    ("--no-export-dynamic", "", "set", "export_dynamic", False, "",
     "Export only what libraries refer to (default)"),
    ("--version-script", "FILE", "append", "version_scripts", None, "",
     "Read symbol versions from FILE"),
    ("--dynamic-list", "FILE", "append", "dynamic_lists", None, "",
     "Export (executable) or leave preemptible (library) the symbols listed in FILE"),
    ("-Bsymbolic", "", "set", "bsymbolic", "all", "", "Bind a library's references to itself"),
    ("-Bsymbolic-functions", "", "set", "bsymbolic", "functions", "",
     "Bind a library's references to functions to itself"),
    ("--exclude-libs", "LIBS", "on_exclude_libs", "exclude_libs", None, "",
     "Do not export symbols of the archives LIBS, or of ALL"),
    # -- inputs and search
    ("-l --library", "NAME", "on_library", None, None, "",
     "Link library libNAME.so or libNAME.a; -l:FILE for that very name"),
    ("-L --library-path", "DIR", "append", "library_paths", None, "",
     "Search DIR for libraries; = or $SYSROOT in front means the sysroot"),
    ("--sysroot", "DIR", "str", "sysroot", None, "", "Root of the target's libraries"),
    ("-nostdlib", "", "set", "nostdlib", True, "", "Search only the folders of -L"),
    ("--as-needed", "", "state", "as_needed", True, "",
     "DT_NEEDED only for those of the following libraries that are referenced"),
    ("--no-as-needed", "", "state", "as_needed", False, "",
     "DT_NEEDED for all of the following libraries (default)"),
    ("--whole-archive", "", "state", "whole_archive", True, "",
     "Load all members of the following archives"),
    ("--no-whole-archive", "", "state", "whole_archive", False, "",
     "Load members of archives as needed (default)"),
    ("--push-state", "", "on_push_state", None, None, "", "Remember the positional options"),
    ("--pop-state", "", "on_pop_state", None, None, "", "Return to what --push-state remembered"),
    ("--start-group -(", "", "on_start_group", None, None, "", "Search what follows until nothing is new"),
    ("--end-group -)", "", "on_end_group", None, None, "", "End a group"),
    ("-u --undefined", "SYMBOL", "append", "undefined", None, "", "Begin with SYMBOL undefined"),
    ("--defsym", "SYMBOL=EXPRESSION", "on_defsym", "defsym", None, "", "Define SYMBOL"),
    ("--wrap", "SYMBOL", "on_unique", "wrap", None, "",
     "Send references to SYMBOL to __wrap_SYMBOL, those to __real_SYMBOL to SYMBOL"),
    ("-T --script", "FILE", "on_script", "scripts", None, "", "Use FILE as the linker script"),
    # -- policy
    ("--no-undefined", "", "set", "unresolved_in_objects", "error", "",
     "Undefined symbols are an error in a shared library too"),
    ("--allow-multiple-definition", "", "set", "allow_multiple_definition", True, "",
     "The first of several definitions wins"),
    ("--fatal-warnings", "", "set", "fatal_warnings", True, "", "Warnings are errors"),
    ("--no-fatal-warnings", "", "set", "fatal_warnings", False, "", "Warnings are warnings (default)"),
    ("-z", "KEYWORD", "on_z", None, None, "", "See the keywords below"),
    ("--compress-debug-sections", "[STYLE[:LEVEL]]", "on_compress_debug", "compress_debug", None, "",
     "Compress debug sections: none, zlib, zlib-gabi, zlib-gnu, zstd"),
    ("--threads", "[N]", "on_threads", "threads", None, "",
     "Use N threads (default: one for each CPU; one for small inputs)"),
    ("-v", "", "set", "print_version", 1, "", "Print the version, go on if there are inputs"),
    ("--version", "", "on_action", "action", "version", "", "Print the version and leave"),
    # -- what compiler drivers add for other linkers
    ("-plugin", "FILE", "append", "plugins", None,
     "",
     "Load the compiler plugin FILE when an input holds compiler IR (-flto)"),
    ("-plugin-opt", "ARG", "append", "plugin_opts", None, "",
     "Pass ARG to the plugin"),
)


def build_index(rows, index):
    """Enter `rows` into `index`: name without dashes -> row, short options as "-x"."""
    for row in rows:
        for name in row[0].split():
            bare = name.lstrip("-")
            index["-" + bare if len(bare) == 1 else bare] = row
    return index


def load_all():
    """All rows, in the order of --help."""
    from mclink.options.more import MORE
    from mclink.options.reports import REPORTS
    from mclink.options.ignored import IGNORED
    from mclink.options.targets import TARGETS
    return COMMON + MORE + REPORTS + TARGETS + IGNORED
