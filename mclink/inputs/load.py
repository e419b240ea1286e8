"""Phase 1: the input tree becomes opened, mapped and identified files in link order.

Text files are linker scripts: what they name is spliced in where they stand. The target is known when this phase
ends: from -m, the program's name, or the first object.
"""

import posix

from mclink._core import archive, files, load, parse, tables
from mclink.context import InputFile, SharedLibrary
from mclink.diag import LinkError
from mclink.paths import basename, encode, exists, is_file, read_file
from mclink.script import ast
from mclink.script.parser import decode_script, parse_script
from mclink.script.sources import Sources
from mclink import search, target as targets, tree
from mclink.target.stored import default_tree
from mclink.target.style import Variant

FILE_AS_NEEDED = 1
FILE_EXCLUDE_LIBS = 4
FILE_IN_GROUP = 2048


class Item:
    """An element of the link order.

    kind is "object", "archive", "shared", "group", "lib", "just-symbols" or "defsym".
    """

    __slots__ = ("kind", "input", "node", "row", "items", "library")

    def __init__(self, kind, input=None, node=None):
        self.kind = kind
        self.input = input      # InputFile, None for groups
        self.node = node        # tree node it came from (its state holds --whole-archive)
        self.row = 0            # Archive row of an archive
        self.items = []         # Items of a group or lib; member file ids under --whole-archive
        self.library = None     # SharedLibrary of a shared object


def open_inputs(link):
    """Open inputs"""
    link.tables = tables.Tables()
    link.sources = Sources()
    load.make_internal_file(link.tables)
    link.extra["search_dirs"] = []
    link.extra["opened"] = {}
    link.extra["commands"] = []
    link.extra["externs"] = []
    link.extra["script_versions"] = []
    choose_target_early(link)
    for path in link.options.scripts:
        read_script(link, path)
    link.sequence = []
    for node in link.tree.children:
        open_node(link, node, link.sequence, 0)
    if any(command[0] == ast.SECTIONS for command in link.extra["commands"]):
        from mclink.inputs.patterns import open_named
        open_named(link, open_path)
    if link.target is None:
        target_of_format(link)
    obey_endian(link)
    if link.target is None and link.diag.errors:
        raise LinkError()
    if link.target is None:
        raise LinkError("no target: no input is an ELF object; say one with -m\n"
                        ">>> supported emulations: " + " ".join(targets.EMULATIONS))
    obey_format(link)
    configure(link)
    settle_flavour(link)
    choose_script(link)
    check(link)


def check(link):
    """Prints pending faults; raises LinkError when there were errors."""
    from mclink import faults
    faults.check(link)


def choose_target_early(link):
    """The target from -m or, failing that, from the program's name; the objects decide otherwise."""
    options = link.options
    emulation = options.emulation or targets.emulation_of_triple(options.program_target)
    if emulation:
        link.target = targets.load(emulation)


def target_of_format(link):
    """The target from OUTPUT_FORMAT of a script or --oformat."""
    names = [link.options.oformat] if link.options.oformat else []
    for command in link.extra["commands"]:
        if command[0] == ast.OUTPUT_FORMAT:
            # Three names: the default one, and those for -EB and -EL.
            names.append({"big": command[3], "little": command[4]}.get(link.options.endian) or command[2])
    for name in names:
        if name in targets.FORMATS:
            link.target = targets.load(targets.FORMATS[name])
            return


def obey_format(link):
    """--oformat, or else OUTPUT_FORMAT: "binary", "srec" and "ihex" drop all that is ELF, what is neither these nor ELF is
    refused."""
    name = link.options.oformat
    if name is None:
        for command in link.extra["commands"]:
            if command[0] == ast.OUTPUT_FORMAT:
                name = command[2]
        if name in targets.RAW_FORMATS:
            link.options.oformat = name
    if name is not None and name not in targets.RAW_FORMATS and name not in targets.FORMATS:
        known = ", ".join(targets.RAW_FORMATS + tuple(targets.FORMATS))
        raise LinkError(f"output format '{name}' is not supported\n>>> known are: {known}\n"
                        f">>> an ELF file may be converted with: objcopy -O {name}")
    if link.options.oformat in targets.FORMATS and link.target is not None:
        asked = targets.load(targets.FORMATS[name]).data
        data = link.target.data
        if (asked.MACHINE, asked.ELF_CLASS, asked.BIG_ENDIAN) != (data.MACHINE, data.ELF_CLASS, data.BIG_ENDIAN):
            raise LinkError(f"--oformat={name}: the output is {data.OUTPUT_FORMAT}, which cannot be written as another format")


def obey_endian(link):
    """-EB and -EL: the same machine in the other byte order, when the target has both."""
    endian = link.options.endian
    if link.target is None or endian is None or link.target.data.BIG_ENDIAN == (endian == "big"):
        return
    data = link.target.data
    other = targets.MACHINES.get((data.MACHINE, data.ELF_CLASS == 64, endian == "big"))
    if other is not None:
        link.target = targets.load(other)


def note_object(link, file):
    """Takes the target from the first object when nothing else said it."""
    if link.target is None:
        known = parse.identify(link.tables, file)
        if known is None:
            return
        key = (known[2], known[0] == 2, known[1] == 2)
        if key not in targets.MACHINES:
            raise LinkError(f"{files.file_name(link.tables, file)}: no target for ELF machine {known[2]} "
                            f"({'64' if known[0] == 2 else '32'}-bit, {'big' if known[1] == 2 else 'little'}-endian)")
        link.target = targets.load(targets.emulation_of_flags(known[2], known[4], targets.MACHINES[key]))


def has_addends(data):
    """True when relocations of objects of this target carry addends; its dynamic ones may not."""
    return getattr(data, "RELA_OBJECTS", data.RELA)


def settle_flavour(link):
    """The operating system, which drivers need not say with -m: that of the program's name, or of the first object,
    which is the start-up code."""
    if link.target.flavour not in ("linux", "none"):
        return
    flavour = targets.flavour_of_triple(link.options.program_target)
    first = next((file for file, entry in link.inputs.items()
                  if entry.kind == "object" and parse.identify(link.tables, file) is not None), None)
    if flavour is None and first is not None:
        if parse.identify(link.tables, first)[5] == targets.ELFOSABI_FREEBSD:
            flavour = "freebsd"
        else:
            parse.parse_files(link.tables, [first])
            if parse.has_section(link.tables, first, b".note.netbsd.ident"):
                flavour = "netbsd"
    if flavour is not None:
        link.target = targets.flavoured(link.target, flavour)


def configure(link):
    """Tells the core what the command line and the target say."""
    options = link.options
    data = link.target.data
    kind = options.output_kind
    threads = link.extra["threads"] = options.threads or default_threads(link)
    link.tables.configure(
        threads=threads,
        machine=data.MACHINE, elf32=data.ELF_CLASS == 32, swap=data.BIG_ENDIAN, rela=data.RELA,
        rela_records=has_addends(data),
        shared_output=kind == "shared", pic=kind in ("shared", "pie"), relocatable=kind == "relocatable",
        emit_relocs=options.emit_relocs, z_now=options.z_now,
        z_text=0 if options.z_text is None else 1 if options.z_text else 2,
        z_nocopyreloc=not options.z_copyreloc, relax=options.relax is not False,
        use_relr="relr" in options.pack_dyn_relocs, large_common=data.LARGE_COMMON, large_flag=data.LARGE_FLAG,
        split_info=getattr(data, "SPLIT_INFO", False))


SMALL = 12 << 20     # bytes of objects and archives


def default_threads(link):
    """As many threads as CPUs, but one for inputs so small that starting others takes longer than they save."""
    sizes = {}
    for entry in link.inputs.values():
        if entry.kind == "thin":
            return available_threads()
        if entry.kind != "shared":
            sizes[entry.path] = files.file_size(link.tables, entry.file)
    return available_threads() if sum(sizes.values()) > SMALL else 1


def available_threads():
    """CPUs this process may use."""
    try:
        return len(posix.sched_getaffinity(0))
    except (AttributeError, OSError):
        return posix.cpu_count() or 1


def open_node(link, node, items, depth):
    """Appends the Items of one tree node to `items`."""
    if isinstance(node, tree.FileNode):
        open_path(link, node.path, node.path, node, items, depth, node.searched)
    elif isinstance(node, tree.LibraryNode):
        open_library(link, node, items, depth)
    elif isinstance(node, (tree.GroupNode, tree.LibNode)):
        item = Item("group" if isinstance(node, tree.GroupNode) else "lib", None, node)
        items.append(item)
        for child in node.children:
            open_node(link, child, item.items, depth)
    elif isinstance(node, tree.JustSymbolsNode):
        open_path(link, node.path, node.path, node, items, depth, False)
    elif isinstance(node, tree.DefsymNode):
        items.append(Item("defsym", None, node))
    elif not isinstance(node, tree.ScriptNode):
        raise AssertionError(node)
    else:
        # The script's own INPUT files stand where -T stands.
        for path, commands in link.extra.get("script_inputs", ()):
            if path == node.path:
                splice(link, commands, path, node, items, depth)


def remap(link, path):
    """--remap-inputs: the path to open instead."""
    if not link.options.remap_inputs:
        return path
    from fnmatch import fnmatchcase
    for pattern, new in link.options.remap_inputs:
        if fnmatchcase(path, pattern):
            return new
    return path


def open_library(link, node, items, depth):
    """Opens what -l finds; libraries of another machine are passed over as GNU ld does."""
    skipped = []
    for path in search.library_candidates(link, node.name, node.state.static):
        if not is_file(path):
            continue
        if link.options.trace > 1 or link.options.verbose:
            print(f"attempt to open {path} succeeded")
        if open_path(link, path, path, node, items, depth, False, True):
            return
        skipped.append(path)
    error = search.missing(link, f"-l{node.name}")
    for path in skipped:
        error = LinkError(f"{error}\n>>> skipped incompatible {path}")
    link.diag.error(str(error))
    link.diag.run_error_script("missing-lib", node.name)


def open_path(link, path, shown, node, items, depth, searched, library=False):
    """Opens one file and appends what it is. False when `library` and the file is for another machine."""
    path = remap(link, path)
    if depth > 16:
        raise LinkError(f"{path}: linker scripts name each other more than 16 deep")
    form = node.state.format
    if form == "binary":
        open_binary(link, path, node, items)
        return True
    if form is not None and form not in targets.FORMATS:
        raise LinkError(f"{path}: input format '{form}' is not supported; an ELF object may be made with: "
                        f"objcopy -I {form} -O {link.target.data.OUTPUT_FORMAT if link.target else 'elf64-x86-64'}")
    try:
        file, kind, identity = files.map_file(link.tables, encode(path), encode(shown))
    except OSError as error:
        if searched:
            found = search.find_named(link, path, "")
            if found and found != path:
                return open_path(link, found, found, node, items, depth, False)
        link.diag.error(f"cannot open {path}: {posix.strerror(error.errno)}")
        return True
    if isinstance(node, tree.JustSymbolsNode):
        if kind not in ("executable", "shared", "object"):
            raise LinkError(f"{path}: --just-symbols needs an ELF file")
        note_object(link, file)
        files.set_kind(link.tables, file, "just-symbols", 0)
        item = Item("just-symbols", InputFile(file, path, shown, node, kind), node)
        link.inputs[file] = item.input
        items.append(item)
        return True
    if kind == "bitcode":
        kind = "object"     # mclink.lto takes it out when it has been parsed
    if kind in ("object", "shared", "executable", "elf"):
        if library and not is_compatible(link, file):
            return False
        return open_elf(link, file, kind, identity, path, shown, node, items)
    if kind in ("archive", "thin"):
        if library and not archive_is_compatible(link, file):
            return False
        open_archive(link, file, kind, path, shown, node, items)
        return True
    if kind == "empty":
        link.diag.error(f"{path}: file is empty")
        return True
    open_text(link, file, path, node, items, depth)
    return True


def is_compatible(link, file):
    """True when an ELF file fits the target, or would choose it."""
    known = parse.identify(link.tables, file)
    if known is None or link.target is None:
        return True
    data = link.target.data
    return (known[2], known[0] == 2, known[1] == 2) == (data.MACHINE, data.ELF_CLASS == 64, data.BIG_ENDIAN)


def archive_is_compatible(link, file):
    """True unless the first ELF member of an archive is for another machine."""
    if link.target is None:
        return True
    known = archive.first_elf_member(link.tables, file)
    if known is None:
        return True
    data = link.target.data
    return known == (data.MACHINE, data.ELF_CLASS == 64, data.BIG_ENDIAN)


def excluded(link, path):
    """True when --exclude-libs names the archive."""
    names = link.options.exclude_libs
    return bool(names) and ("ALL" in names or basename(path) in names)


def open_elf(link, file, kind, identity, path, shown, node, items):
    """An object or a shared object."""
    if kind == "executable":
        raise LinkError(f"{path}: an executable cannot be linked; --just-symbols takes its symbols")
    if kind == "elf":
        raise LinkError(f"{path}: neither a relocatable object nor a shared object")
    note_object(link, file)
    entry = InputFile(file, path, shown, node, kind)
    if kind == "shared":
        if link.options.relocatable:
            raise LinkError(f"{path}: attempted relocatable link (-r) with a shared object")
        if node.state.static and isinstance(node, tree.FileNode) and link.options.static:
            raise LinkError(f"attempted static link of dynamic object `{path}'")
        if identity in link.extra["opened"]:
            return True
        link.extra["opened"][identity] = file
        files.set_kind(link.tables, file, "shared", FILE_AS_NEEDED if node.state.as_needed else 0)
        item = Item("shared", entry, node)
        item.library = SharedLibrary(file, path)
        item.library.as_needed = node.state.as_needed
        link.libraries.append(item.library)
    else:
        files.set_kind(link.tables, file, "object", 0)
        item = Item("object", entry, node)
    link.inputs[file] = entry
    items.append(item)
    return True


def open_archive(link, file, kind, path, shown, node, items):
    """An archive: its index is read, its members stay closed."""
    flags = FILE_EXCLUDE_LIBS if excluded(link, path) else 0
    files.set_kind(link.tables, file, "none", flags)
    entry = InputFile(file, path, shown, node, kind)
    item = Item("archive", entry, node)
    row, thin, has_index = archive.open_archive(link.tables, file)
    item.row = row
    link.inputs[file] = entry
    items.append(item)
    if link.target is None:
        known = archive.first_elf_member(link.tables, file)
        if known in targets.MACHINES:
            link.target = targets.load(targets.MACHINES[known])


def open_binary(link, path, node, items):
    """-b binary: the file's bytes as the .data of an object made in memory."""
    if link.target is None:
        target_of_format(link)
    if link.target is None:
        raise LinkError(f"{path}: -b binary needs -m or an object before it")
    from mclink.inputs.binary import binary_object
    try:
        contents = read_file(path)
    except OSError as error:
        raise LinkError(f"cannot open {path}: {posix.strerror(error.errno)}") from None
    image = binary_object(link.target.data, path, contents)
    file = files.add_buffer(link.tables, encode(path), image)
    files.set_kind(link.tables, file, "object", 0)
    entry = InputFile(file, path, path, node, "object")
    link.inputs[file] = entry
    items.append(Item("object", entry, node))


def open_text(link, file, path, node, items, depth):
    """A linker script given as an input file."""
    text = files.contents(link.tables, file)
    if b"\0" in text[:4096]:
        raise LinkError(f"{path}: file format not recognized: neither ELF, archive nor linker script")
    commands = parse_script(decode_script(text), path, link.sources, includer(link, path), section_flags(link))
    if any(command[0] in (ast.SECTIONS, ast.MEMORY, ast.PHDRS) for command in commands):
        # An implicit linker script augments the default one (GNU ld manual, Implicit Linker Scripts).
        link.extra["commands"].extend(commands)
        link.extra.setdefault("implicit", []).append(path)
    splice(link, commands, path, node, items, depth)


def section_flags(link):
    """Names that INPUT_SECTION_FLAGS knows: the general ones and the target's."""
    from mclink.script.sections import SECTION_FLAGS
    return SECTION_FLAGS


def includer(link, origin):
    """The function that finds the files of INCLUDE for a script."""
    def include(name, pos):
        found = search.find_named(link, name, origin)
        if found is None:
            link.sources.fail(pos, f"cannot find the linker script {name}")
        try:
            return found, decode_script(read_file(found))
        except OSError as error:
            link.sources.fail(pos, f"cannot read {found}: {posix.strerror(error.errno)}")
    return include


def read_script(link, path):
    """Parses a -T script and keeps its commands; its INPUT files are opened where -T stands."""
    found = path if exists(path) else search.find_named(link, path, path)
    if found is None:
        raise LinkError(f"cannot open linker script file {path}: No such file or directory")
    try:
        text = read_file(found)
    except OSError as error:
        raise LinkError(f"cannot open linker script file {path}: {posix.strerror(error.errno)}") from None
    commands = parse_script(decode_script(text), found, link.sources, includer(link, found), section_flags(link))
    link.extra["commands"].extend(commands)
    link.extra.setdefault("script_inputs", []).append((path, commands))
    link.script_path = found
    for command in commands:
        if command[0] == ast.SEARCH_DIR:
            link.extra["search_dirs"].append(search.in_sysroot(link, command[2]))


def splice(link, commands, path, node, items, depth):
    """Obeys the commands of a script that concern inputs."""
    for command in commands:
        word = command[0]
        if word == ast.INPUT or word == ast.GROUP:
            inner = items
            if word == ast.GROUP:
                group = Item("group", None, node)
                items.append(group)
                inner = group.items
            splice_files(link, command[2], path, node, inner, depth, node.state)
        elif word == ast.STARTUP:
            new = []
            splice_files(link, ((ast.FILE, command[1], command[2]),), path, node, new, depth, node.state)
            items[:0] = new
        elif word == ast.SEARCH_DIR:
            link.extra["search_dirs"].append(search.in_sysroot(link, command[2]))
        elif word == ast.EXTERN:
            link.extra["externs"].extend(command[2])
        elif word == ast.VERSION:
            link.extra["script_versions"].append(command)
        elif word == ast.ENTRY and link.script_path != path:
            link.extra["commands"].append(command)


def splice_files(link, entries, path, node, items, depth, state):
    """Opens the files of INPUT, GROUP and AS_NEEDED."""
    for entry in entries:
        if entry[0] == ast.AS_NEEDED:
            splice_files(link, entry[2], path, node, items, depth, state.replace("as_needed", True))
        elif entry[0] == ast.LIBRARY:
            child = tree.LibraryNode(entry[2], node.position, state)
            node.children.append(child)
            open_library(link, child, items, depth + 1)
        else:
            found = search.find_named(link, entry[2], path)
            if found is None:
                link.sources.fail(entry[1], f"cannot find {entry[2]}: No such file or directory")
            child = tree.FileNode(found, node.position, state)
            node.children.append(child)
            open_path(link, found, found, child, items, depth + 1, False)


def script_variant(link):
    """The Variant that chooses among the target's default scripts."""
    options = link.options
    separate = options.z_separate_code or ("code" if options.execute_only else None if options.rosegment else "none")
    if separate is None:
        separate = "code" if link.target.data.SEPARATE_CODE.get(link.target.flavour) else "none"
    return Variant(options.output_kind, {"none": 0, "code": 1, "loadable": 2}[separate], options.z_combreloc,
                   options.z_now, options.z_relro is not False, options.omagic, options.nmagic,
                   options.z_keep_text_prefix)


def choose_script(link):
    """The layout rules in force: the scripts of -T, or the target's default one."""
    commands = link.extra["commands"]
    assignments = defsym_assignments(link)
    has_sections = any(command[0] == ast.SECTIONS for command in commands)
    inserts = any(command[0] == ast.INSERT for command in commands)
    if has_sections and not inserts and not link.extra.get("implicit"):
        link.script = assignments + tuple(commands)
        return
    default = default_tree(link.target.style, script_variant(link), link.sources)
    if inserts:
        # Statements of a script that INSERTs stand in front of the default ones when sections are matched.
        link.script = assignments + tuple(commands) + tuple(default)
    else:
        link.script = assignments + tuple(default) + tuple(commands)


def defsym_assignments(link):
    """--defsym as assignments in front of the script (GNU ld manual, node "Options", --defsym)."""
    if not link.options.defsym:
        return ()
    from mclink.script.expression import parse_expression
    found = []
    for symbol, text, _ in link.options.defsym:
        tree = parse_expression(text, f"--defsym={symbol}", link.sources)
        found.append((ast.ASSIGN, 0, symbol, tree, ast.PLAIN))
    return tuple(found)
