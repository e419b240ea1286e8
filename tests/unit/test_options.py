"""The parsing rules of the command line, GNU ld's unless a test says otherwise."""

import os

import pytest

from mclink.diag import LinkError
from mclink.tree import (
    DefsymNode, FileNode, GroupNode, JustSymbolsNode, LibNode, LibraryNode, ScriptNode, walk)
from mclink.options import parse
from mclink.options.parser import parse_hex, parse_number, split_words


def read(line, program="ld"):
    return parse(line.split() if isinstance(line, str) else line, program)


def fails(line):
    with pytest.raises(LinkError) as caught:
        read(line)
    return str(caught.value)


# -- spellings

@pytest.mark.parametrize("line, name, value", [
    ("-o x", "output", "x"),
    ("-ox", "output", "x"),
    ("--output x", "output", "x"),
    ("--output=x", "output", "x"),
    ("-omagic", "output", "magic"),             # words that begin with o need two dashes
    ("-oformat", "output", "format"),
    ("--omagic", "omagic", True),
    ("--oformat binary", "oformat", "binary"),
    ("-Map f", "map_file", "f"),
    ("-Map=f", "map_file", "f"),
    ("--Map f", "map_file", "f"),
    ("--Map=f", "map_file", "f"),
    ("-M", "print_map", True),
    ("-cref", "cref", True),
    ("-dynamic-linker=x", "dynamic_linker", "x"),
    ("-dynamic-linker x", "dynamic_linker", "x"),
    ("--dynamic-linker=x", "dynamic_linker", "x"),
    ("-I/x", "dynamic_linker", "/x"),
    ("-e main", "entry", "main"),
    ("-emain", "entry", "main"),
    ("-e 0x1000", "entry", "0x1000"),
    ("--entry=main", "entry", "main"),
    ("-export-dynamic", "export_dynamic", True),
    ("-E", "export_dynamic", True),
    ("-u__llvm_profile_runtime", "undefined", ["__llvm_profile_runtime"]),
    ("-u a --undefined=b", "undefined", ["a", "b"]),
    ("-L/a -L /b --library-path=/c", "library_paths", ["/a", "/b", "/c"]),
    ("-melf_x86_64", "emulation", "elf_x86_64"),
    ("-m elf_x86_64", "emulation", "elf_x86_64"),
    ("-maarch64linux", "emulation", "aarch64linux"),
    ("-marmelf_linux_eabi", "emulation", "armelf_linux_eabi"),
    ("-melf32btsmip -mips32r2", "emulation", "elf32btsmip"),
    ("-mips16 -mips64r6", "emulation", None),
    ("-znow", "z_now", True),
    ("-z now", "z_now", True),
    ("-z now -z lazy", "z_now", False),
    ("-znocopyreloc", "z_copyreloc", False),
    ("-zmax-page-size=0x10000", "z_max_page_size", 0x10000),
    ("-z max-page-size=65536", "z_max_page_size", 0x10000),
    ("-z stack-size=010", "z_stack_size", 8),
    ("-z separate-loadable-segments", "z_separate_code", "loadable"),
    ("-z start-stop-visibility=hidden", "start_stop_visibility", "hidden"),
    ("-h x", "soname", "x"),
    ("-hx", "soname", "x"),
    ("-soname=x", "soname", "x"),
    ("-soname x", "soname", "x"),
    ("-soname=", "soname", None),
    ("-hash-style=gnu", "hash_style", "gnu"),
    ("--hash-style both", "hash_style", "both"),
    ("-G 4", "gp_size", 4),
    ("-G0", "gp_size", 0),
    ("-O", "optimize", 1),
    ("-O2", "optimize", 2),
    ("-Os", "optimize", 1),
    ("--optimize", "optimize", 1),
    ("-noinhibit-exec", "noinhibit_exec", True),
    ("-nostdlib", "nostdlib", True),
    ("-N", "omagic", True),
    ("-n", "nmagic", True),
    ("-d", "define_common", True),
    ("-dc", "define_common", True),
    ("-dp", "define_common", True),
    ("--no-define-common", "define_common", False),
    ("-q", "emit_relocs", True),
    ("-s", "strip", "all"),
    ("-S", "strip", "debug"),
    ("--strip-all", "strip", "all"),
    ("-x", "discard", "all"),
    ("-X", "discard", "locals"),
    ("-rpath /a -rpath=/b --rpath /a", "rpath", ["/a", "/b"]),
    ("-rpath-link /a:/b", "rpath_link", ["/a", "/b"]),
    ("--build-id", "build_id", "sha1"),
    ("--build-id=md5", "build_id", "md5"),
    ("--build-id=0x12-34:aB", "build_id", "0x1234ab"),
    ("--build-id --build-id=none", "build_id", None),
    ("--compress-debug-sections=zlib", "compress_debug", ("zlib", None)),
    ("--compress-debug-sections=zlib-gabi:9", "compress_debug", ("zlib", 9)),
    ("--compress-debug-sections=zstd:19", "compress_debug", ("zstd", 19)),
    ("--exclude-libs a,b:c", "exclude_libs", ["a", "b", "c"]),
    ("--wrap=a --wrap=b --wrap=a", "wrap", ["a", "b"]),
    ("--sort-common", "sort_common", "descending"),
    ("--sort-common=ascending", "sort_common", "ascending"),
    ("--unique", "unique", []),
    ("--unique=.text.*", "unique", [".text.*"]),
    ("--threads=3", "threads", 3),
    ("--no-threads", "threads", 1),
    ("--thread-count=5", "threads", 5),
    ("-t -t", "trace", 2),
    ("--verbose", "verbose", 1),
    ("--verbose=2", "verbose", 2),
    ("--no-demangle", "demangle", False),
    ("--no-demangle --demangle=gnu-v3", "demangle", True),
    ("--color-diagnostics", "color_diagnostics", "always"),
    ("--color-diagnostics=never", "color_diagnostics", "never"),
    ("--error-limit=0", "error_limit", 0),
    ("-Ttext-segment=0x400000", "segment_start", {"text-segment": 0x400000}),
    ("--section-start=.a=1000", "section_start", {".a": 0x1000}),
    ("--section-start .a=0x1000", "section_start", {".a": 0x1000}),
    ("--image-base=0x10000", "image_base", 0x10000),
    ("--package-metadata={%22a%22%[comma]1}", "package_metadata", '{"a",1}'),
    ("-Bsymbolic-functions", "bsymbolic", "functions"),
    ("-Bsymbolic -Bno-symbolic", "bsymbolic", "none"),
    ("-plugin p.so -plugin-opt=-fresolution=x", "plugin_opts", ["-fresolution=x"]),
    ("-plugin-opt -pass-through=-lgcc", "plugin_opts", ["-pass-through=-lgcc"]),
    ("-f a --auxiliary b", "auxiliary", ["a", "b"]),
    ("-y a --trace-symbol=b", "trace_symbols", ["a", "b"]),
    ("-init a", "init", "a"),
    ("--fini=b", "fini", "b"),
    ("-T a --script=b -Tc", "scripts", ["a", "b", "c"]),
    ("-dT a", "default_script", "a"),
    ("--stub-group-size=-1", "stub_group_size", -1),
    ("--fix-cortex-a53-843419", "fix_cortex_a53_843419", "full"),
    ("--fix-v4bx", "fix_v4bx", "fix"),
    ("--target2=got-rel", "target2", "got-rel"),
    ("--pack-dyn-relocs=android+relr", "pack_dyn_relocs", "android+relr"),
    ("-z pack-relative-relocs", "pack_dyn_relocs", "relr"),
    ("--gc-sec", "gc_sections", True),          # getopt_long: any unambiguous beginning
    ("--no-gc", "gc_sections", False),
    ("-z x86-64-v3", "z_isa_level", 3),
    ("-z cet-report=warning", "z_reports", {"cet-report": "warning"}),
    ("--lto-O2", "lto_options", ["--lto-O2"]),
    ("--thinlto-jobs=4", "lto_options", ["4"]),
])
def test_spelling(line, name, value):
    assert getattr(read(line + " a.o"), name) == value


@pytest.mark.parametrize("line", [
    # Real lines: gcc with -r, clang for Android, NetBSD's module and boot builds, Linux, Debian.
    "-r -dynamic-linker /lib/ld.so --as-needed --hash-style=gnu --eh-frame-hdr -plugin p a.o",
    "-r -z now -z relro --build-id a.o",
    "-static -pie a.o", "-shared -static a.o", "-pie -pie a.o", "-pie --no-dynamic-linker a.o",
    "-dc -r a.o", "-d -r a.o", "-Y dir a.o", "-assert x a.o", "-P x a.o", "--traditional-format a.o",
    "--no-warn-mismatch a.o", "--split-by-file=4096 -r a.o", "--split-by-file a.o",
    "--no-warn-rwx-segments a.o", "--orphan-handling=warn a.o",
    "--compress-debug-sections=zlib-gnu a.o", "--no-ld-generated-unwind-info a.o",
    "--no-warn-execstack a.o", "-r --unique a.o", "-Tdata 1000 a.o", "-nopie a.o", "-symbolic a.o",
    "--be8 --fix-v4bx a.o", "-b binary a.bin", "-z pack-relative-relocs a.o", "--no-keep-memory a.o",
    "-flto -flto=auto -fno-lto -fuse-ld=mclink -flto-partition=none -flinker-output=exec a.o",
    "-EL -X a.o", "-C -dn -z ignore -z record a.o", "--hash-size=31 --reduce-memory-overheads a.o",
    "-a archive a.o", "-A i386 a.o", "-Qy -qmagic -g -p -Z a.o", "--stats --no-fork --perf a.o",
    "--warn-shared-textrel --fatal-warnings -Map=x.map -rpath /lib -L=/lib a.o",
    "--android-memtag-mode=sync --android-memtag-stack a.o",
    "--no-undefined-version --icf=safe --exclude-libs libgcc.a a.o",
    "-z separate-loadable-segments -z rel --execute-only a.o", "-mllvm -x a.o",
    "--save-restore-funcs --emit-relocs a.o", "--secure-plt -V a.o",
])
def test_line_is_accepted_in_silence(line):
    assert read(line).early_messages == []


def test_long_option_beats_short_one():
    options = read("-static -dynamic-list-data -init x -relax -fatal-warnings a.o")
    assert options.dynamic_list_data and options.relax and options.fatal_warnings
    assert options.entry is None and options.scripts == []


def test_l_is_a_library_before_it_is_a_long_name():
    # GNU ld reads -lto as -l to, and so does every Makefile with a library of that name.
    names = [node.name for node in read("-lto -llto-plugin -l:x.a -l c").tree.children]
    assert names == ["to", "lto-plugin", ":x.a", "c"]


# -- numbers

@pytest.mark.parametrize("text, value", [
    ("4000", 0x4000), ("3e0000", 0x3E0000), ("a0700000", 0xA0700000), ("0x10", 16), ("0XfF", 255),
    ("ffffffffffffffff", (1 << 64) - 1), ("0", 0),
])
def test_hexadecimal_without_0x(text, value):
    assert read(f"-Ttext {text} a.o").section_start[".text"] == value
    assert read(f"-Ttext={text} a.o").segment_start[".text"] == value


@pytest.mark.parametrize("text", ["", "x", "0x", "-1", "+1", "1_0", " 1", "1 ", "g", "10000000000000000", "٣"])
def test_bad_hexadecimal(text):
    with pytest.raises(LinkError):
        parse_hex(text)


@pytest.mark.parametrize("text", ["", "x", "0x", "08", "-1", "1k", "18446744073709551616", "9" * 5000])
def test_bad_number(text):
    with pytest.raises(LinkError):
        parse_number(text)


# -- the tree

def shape(nodes):
    said = []
    for node in nodes:
        if isinstance(node, FileNode):
            said.append(node.path)
        elif isinstance(node, LibraryNode):
            said.append("-l" + node.name)
        else:
            said.append((type(node).__name__, shape(node.children)))
    return said


def test_tree_and_groups():
    tree = read("a.o -la -( b.a -lc -) --start-lib c.o --end-lib d.o").tree
    assert shape(tree.children) == [
        "a.o", "-la", ("GroupNode", ["b.a", "-lc"]), ("LibNode", ["c.o"]), "d.o"]
    assert [node.position for node in walk(tree)] == list(range(8))


def test_walk_visits_children_spliced_in_meanwhile():
    tree = read("a b").tree
    seen = []
    for node in walk(tree):
        seen.append(node.path)
        if node.path == "a":
            node.children.append(FileNode("inside", node.position, node.state))
    assert seen == ["a", "inside", "b"]


def test_state_is_positional():
    line = ("a --as-needed b --push-state --whole-archive -Bstatic c -Bdynamic --no-as-needed d "
            "--pop-state e --no-as-needed f -b binary g -b default h --copy-dt-needed-entries i")
    states = {node.path: node.state for node in walk(read(line).tree)}
    assert [name for name in "abcdefghi" if states[name].as_needed] == ["b", "c", "e"]
    assert [name for name in "abcdefghi" if states[name].whole_archive] == ["c", "d"]
    assert [name for name in "abcdefghi" if states[name].static] == ["c"]
    assert [name for name in "abcdefghi" if states[name].format] == ["g"]
    assert [name for name in "abcdefghi" if states[name].copy_needed] == ["i"]


def test_state_is_immutable_and_shared():
    tree = read("a b").tree
    first, second = tree.children
    assert first.state is second.state
    with pytest.raises(AttributeError):
        first.state.as_needed = True


def test_input_format_is_no_part_of_the_pushed_state():
    states = [node.state.format for node in walk(read("--push-state -b binary a --pop-state b").tree)]
    assert states == ["binary", "binary"]


def test_script_defsym_and_just_symbols_are_nodes(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    options = read(["-R", str(tmp_path), "-R", str(tmp_path / "none"), "-R", str(tmp_path / "file"), "--just-symbols=f",
                    "-T", "s.ld", "--defsym", "a = b + 1", "x.o"])
    # What does not exist is a folder of the target, as for GNU ld.
    assert options.rpath == [str(tmp_path), str(tmp_path / "none")]
    kinds = [type(node) for node in options.tree.children]
    assert kinds == [JustSymbolsNode, JustSymbolsNode, ScriptNode, DefsymNode, FileNode]
    assert options.defsym == [("a", "b + 1", 3)]
    assert options.scripts == ["s.ld"]


def test_joined_r_of_a_folder():
    assert read("-R. a.o").rpath == ["."]


def test_files_may_stand_before_options_and_behind_two_dashes():
    options = read("a.o -Bstatic -EL -o x -- -b.o")
    assert [node.path for node in walk(options.tree)] == ["a.o", "-b.o"]
    assert options.endian == "little" and options.static


def test_open_group_is_closed_with_a_note():
    options = read("-( a.o")
    assert options.early_messages == [("note", "missing --end-group; added as last command line option")]


# -- kinds of output

@pytest.mark.parametrize("line, kind", [
    ("", "exec"), ("-pie", "pie"), ("-shared", "shared"), ("-r", "relocatable"), ("-i", "relocatable"),
    ("-Ur", "relocatable"), ("-pie -no-pie", "exec"), ("-Bshareable", "shared"),
    ("--pic-executable", "pie"), ("-shared -pie", "pie"),
])
def test_output_kind(line, kind):
    options = read(line + " a.o")
    assert options.output_kind == kind
    assert (options.shared, options.pie, options.relocatable) == (
        kind == "shared", kind == "pie", kind == "relocatable")


@pytest.mark.parametrize("line, objects, shared", [
    ("", "error", "error"),
    ("-shared", "ignore", "ignore"),
    ("-shared -z defs", "error", "ignore"),
    ("-shared --no-undefined", "error", "ignore"),
    ("-z undefs", "ignore", "error"),
    ("--warn-unresolved-symbols", "warn", "warn"),
    ("--warn-unresolved-symbols --error-unresolved-symbols", "error", "error"),
    ("-shared -z defs --warn-unresolved-symbols", "warn", "ignore"),
    ("--unresolved-symbols=ignore-all", "ignore", "ignore"),
    ("--unresolved-symbols=ignore-in-object-files", "ignore", "error"),
    ("--unresolved-symbols=ignore-in-shared-libs", "error", "ignore"),
    ("-shared --unresolved-symbols=report-all", "error", "error"),
    ("--allow-shlib-undefined", "error", "ignore"),
    ("-shared --no-allow-shlib-undefined", "ignore", "error"),
])
def test_undefined_symbol_policy(line, objects, shared):
    options = read(line + " a.o")
    assert (options.unresolved_in_objects, options.unresolved_in_shared) == (objects, shared)


def test_dynamic_flags_accumulate():
    options = read("-z origin -z nodelete -z initfirst -z unique -z nounique a.o")
    assert options.z_df == 0x1 and options.z_df_1 == 0x28


def test_sysroot_counts_wherever_it_stands():
    options = read("-L=/lib -L$SYSROOT/usr -L/abs --sysroot=/root a.o")
    assert options.library_paths == ["/root/lib", "/root/usr", "/abs"]


@pytest.mark.parametrize("program, triple", [
    ("/usr/bin/x86_64--netbsd-ld", "x86_64--netbsd"), ("mips-linux-gnu-ld.bfd", "mips-linux-gnu"),
    ("ld", None), ("/a-ld/ld.mclink", None), ("-ld", None),
])
def test_target_from_the_name_of_the_program(program, triple):
    assert read("a.o", program).program_target == triple


def test_environment(monkeypatch):
    import posix
    monkeypatch.setitem(posix.environ, b"LDEMULATION", b"elf_i386")
    monkeypatch.setitem(posix.environ, b"LD_RUN_PATH", b"/a:/b")
    options = read("a.o")
    assert options.emulation == "elf_i386" and options.rpath == ["/a:/b"]
    options = read("-m elf_x86_64 -rpath /c a.o")
    assert options.emulation == "elf_x86_64" and options.rpath == ["/c"]


# -- errors

@pytest.mark.parametrize("line, text", [
    ("--gc-sectoins", "did you mean: --gc-sections"),
    ("--wrp=x", "did you mean: --wrap"),
    ("--as-neeeded", "did you mean: --as-needed"),
    ("-as-neded", "unrecognized -a option"),
    ("--completely-unknown-thing", "unknown option"),
    ("-o", "needs an argument"),
    ("--defsym", "needs an argument"),
    ("--defsym foo", "SYMBOL=EXPRESSION"),
    ("--defsym =1", "SYMBOL=EXPRESSION"),
    ("--gc-sections=1", "takes no argument"),
    ("--hash-style=x", "one of: sysv, gnu, both, none"),
    ("--orphan-handling=x", "one of: place"),
    ("--sort-section=x", "one of: name"),
    ("--unresolved-symbols=x", "one of: ignore-all"),
    ("--compress-debug-sections=x", "unknown compression"),
    ("--compress-debug-sections=zlib:10", "level"),
    ("--build-id=0x123", "even number"),
    ("-Ttext zz", "invalid hexadecimal number: 'zz'"),
    ("-z max-page-size=3", "power of two"),
    ("-z max-page-size=x", "invalid number"),
    ("-z stack-size=x", "invalid number"),
    ("--pop-state", "--push-state"),
    ("-)", "--start-group"),
    ("-( -(", "nest"),
    ("--end-lib", "--start-lib"),
    ("--start-lib --start-lib", "nest"),
    ("-a bogus", "unrecognized -a option"),
    ("-c script", "MRI"),
    ("--error-limit=x", "invalid number"),
    ("--st", "ambiguous"),
    ("-l", "needs an argument"),
])
def test_error(line, text):
    assert text in fails(line)


def test_unknown_z_word_is_a_warning():
    options = read("-z bogus -z now=1 -z max-page-size a.o")
    assert options.early_messages == [
        ("warning", "-z bogus ignored"), ("warning", "-z now=1 ignored"),
        ("warning", "-z max-page-size ignored")]


def test_unknown_build_id_style_is_a_warning():
    options = read("--build-id=md5 --build-id=bogus a.o")
    assert options.build_id == "md5"
    assert options.early_messages == [("warning", "unrecognized --build-id style ignored")]


# -- response files

@pytest.mark.parametrize("text, words", [
    ("", []), ("  a\tb\n", ["a", "b"]), ("'a b' \"c d\"", ["a b", "c d"]), ("a\\ b", ["a b"]),
    ("'a\\'b'", ["a'b"]), ('"a\\"b"', ['a"b']), ("''", [""]), ("a''b", ["ab"]),
    ("'open quote", ["open quote"]), ("a\\\\b", ["a\\b"]), ("'\"' \"'\"", ['"', "'"]), ("x\\", ["x"]),
])
def test_gnu_quoting(text, words):
    assert split_words(text) == words


def test_response_files_nest(tmp_path):
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    inner.write_text("b.o 'with space.o'\n")
    outer.write_text(f"-o out a.o @{inner} c.o")
    options = read(["@" + str(outer), "d.o"])
    assert options.output == "out"
    assert [node.path for node in walk(options.tree)] == ["a.o", "b.o", "with space.o", "c.o", "d.o"]


def test_missing_response_file_is_a_file_name():
    assert [node.path for node in walk(read("@not-there a.o").tree)] == ["@not-there", "a.o"]


def test_response_file_that_names_itself(tmp_path):
    loop = tmp_path / "loop"
    loop.write_text(f"@{loop}")
    assert "too many response files" in fails(["@" + str(loop)])


def test_response_file_with_undecodable_name(tmp_path):
    response = tmp_path / "r"
    response.write_bytes(b"caf\xe9.o")
    path = read(["@" + str(response)]).tree.children[0].path
    assert os.fsencode(path) == b"caf\xe9.o"


# -- two parses share nothing

def test_options_have_no_shared_state():
    first = read("-u a --section-start=.a=1 -z cet-report=error a.o")
    second = read("b.o")
    assert second.undefined == [] and second.section_start == {} and second.z_reports == {}
    assert first.undefined == ["a"]
