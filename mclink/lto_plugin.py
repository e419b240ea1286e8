"""Phase 2: a compiler plugin at work; loaded only when an input holds compiler IR."""

import os

from mclink import tree
from mclink._core import archive, files, parse, symbols
from mclink._core.plugin import Plugin
from mclink.context import each_item
from mclink.diag import LinkError

OUTPUT_KINDS = {"relocatable": 0, "exec": 1, "shared": 2, "pie": 3}   # as the API numbers them
SEVERITIES = {0: "note", 1: "warning", 2: "error", 3: "error"}


class Lto:
    """The plugin of one link, and what it has taken."""

    __slots__ = ("plugin", "taken", "compiled", "groups")

    def __init__(self, link):
        options = link.options
        path = options.plugins[-1]
        self.taken = set()      # (path, offset) of the files whose IR the plugin has
        self.compiled = False   # the inputs are walked for the second time
        self.groups = ()        # names of the COMDAT groups that IR has won, bytes
        encode = os.fsencode
        try:
            self.plugin = Plugin(encode(path), [encode(word) for word in options.plugin_opts or ()],
                                 encode(options.output), OUTPUT_KINDS.get(options.output_kind, 1))
        except (OSError, RuntimeError) as problem:
            raise LinkError(f"cannot load the compiler plugin: {problem}") from None

    def claim(self, link, file):
        """True when the plugin takes a file's IR, or has taken and compiled it."""
        where = place_of(link, file)
        if self.compiled:
            if where in self.taken:
                files.set_state_bad(link.tables, file)
            elif link.options.relocatable and os.fsencode(where[0]) in self.plugin.added:
                # gcc -r -flto hands IR on, for the last link to compile.
                parse.keep_intermediate(link.tables, file)
            else:
                return False
            return True
        data, options = link.target.data, link.options
        exports = options.output_kind == "shared" or options.export_dynamic or options.dynamic_lists or \
            options.export_dynamic_symbols or options.export_dynamic_symbol_lists
        self.plugin.configure(link.tables, data.MACHINE, data.ELF_CLASS == 32, data.BIG_ENDIAN, bool(exports),
                              options.output_kind == "relocatable")
        try:
            taken = self.plugin.claim(file, os.fsencode(where[0]), where[1])
        except (OSError, RuntimeError) as problem:
            self.report(link)
            raise LinkError(str(problem)) from None
        self.report(link)
        if taken:
            self.taken.add(where)
        return taken

    def compile(self, link):
        """Compiles the IR that the walk found a use for. When there is any, True: the link is back where only the command
        line has been read, and the plugin's objects stand on it where the first file of IR stood."""
        live = self.plugin.live_files()
        if not live or link.diag.errors:
            return False
        position = first_position(link, set(live))
        try:
            self.plugin.compile(root_gids(link))
        except RuntimeError as problem:
            self.report(link)
            raise LinkError(str(problem)) from None
        self.report(link)
        link.diag.check()
        self.groups = self.plugin.group_names()
        self.compiled = True
        self.insert_objects(link, position)
        link.forget()
        return True

    def insert_objects(self, link, position):
        """Puts what the plugin made on the command line."""
        nodes = link.tree.children
        forget_found(nodes)
        index = max((i for i, node in enumerate(nodes) if node.position <= position), default=0)
        state = nodes[index].state.replace("format", None) if nodes else tree.State()
        nodes[index:index] = [tree.FileNode(os.fsdecode(path), position, state) for path in self.plugin.added]
        named = {node.name for node in each_node(nodes) if isinstance(node, tree.LibraryNode)}
        for name in self.plugin.libraries:
            # What -r leaves undefined is for the last link to find.
            if os.fsdecode(name) not in named and not link.options.relocatable:
                nodes.append(tree.LibraryNode(os.fsdecode(name), position, nodes[-1].state.replace("whole_archive", False)))
        link.options.library_paths += [os.fsdecode(path) for path in self.plugin.folders]

    def ends_with(self, link, file):
        """Is this the last of the objects that the plugin compiled?"""
        entry = link.inputs.get(file)
        return self.compiled and entry is not None and bool(self.plugin.added) and \
            entry.path == os.fsdecode(self.plugin.added[-1])

    def report(self, link):
        """Says what the plugin said."""
        for level, text in self.plugin.messages:
            severity = SEVERITIES.get(level, "error")
            if severity == "note":
                link.diag.note(text)
            elif severity == "warning":
                link.diag.warn(text)
            else:
                link.diag.error(text)
        self.plugin.messages.clear()


def place_of(link, file):
    """(path, offset): where the bytes of a file lie on disk."""
    shell = files.file_state(link.tables, file)[2]
    if not shell:
        return link.inputs[file].path, 0
    entry = link.inputs[shell]
    if entry.kind == "thin":
        member = archive.member_path(link.tables, file)
        return os.path.join(os.path.dirname(entry.path), os.fsdecode(member)), 0
    return entry.path, archive.member_offset(link.tables, file)


def first_position(link, live):
    """Position on the command line of the first input that holds a file of `live`."""
    shells = {files.file_state(link.tables, file)[2] for file in live}
    positions = [item.node.position for item in each_item(link.sequence)
                 if item.input is not None and (item.input.file in live or item.input.file in shells)]
    # Members of --start-lib are items inside an item of their own.
    positions += [inner.node.position for item in each_item(link.sequence) if item.kind == "lib"
                  for inner in each_item(item.items) if inner.input is not None and inner.input.file in live]
    return min(positions, default=0)


def each_node(nodes):
    """The nodes and all below them."""
    for node in nodes:
        yield node
        yield from each_node(node.children)


def forget_found(nodes):
    """Drops what opening the inputs has added below files, libraries and scripts."""
    for node in nodes:
        if isinstance(node, (tree.GroupNode, tree.LibNode)):
            forget_found(node.children)
        else:
            node.children.clear()


def root_gids(link):
    """Global symbols that the command line names, or whose names stand in a script: code must go on defining them."""
    options = link.options
    names = set(options.undefined) | set(options.require_defined) | {options.init, options.fini}
    names.update("__wrap_" + name for name in options.wrap)
    collect_words(link.script, names)
    if options.entry:
        names.add(options.entry)
    elif link.target.style.entry:
        names.add(link.target.style.entry)
    found = (symbols.lookup(link.tables, name.encode("utf-8", "surrogateescape")) for name in names if name)
    return sorted(gid for gid in found if gid)


def collect_words(branch, names):
    """Adds every text of a script's tree to `names`."""
    for part in branch:
        if isinstance(part, str):
            names.add(part)
        elif isinstance(part, (tuple, list)):
            collect_words(part, names)
