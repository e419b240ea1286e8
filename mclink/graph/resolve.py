"""Phase 2: the walk over the inputs in link order, with GNU ld's meaning.

First everything that will probably be linked is parsed and its names joined, in parallel and in waves: the objects
of the command line, then the archive members that define what those want, and so on. Then one serial walk decides,
exactly as GNU ld would; a member that the waves did not foresee is parsed when the walk meets it.
"""

import posix

from mclink._core import archive, files, join, parse, symbols, walk
from mclink.context import SharedLibrary, each_item
from mclink.paths import basename, decode, dirname, encode, is_file
from mclink.lto import claim_inputs
from mclink.script import ast
from mclink.tree import FileNode

FILE_NEEDED = 2
FILE_INDIRECT = 1024
G_ABSOLUTE = 1
G_WRAP = 65536
G_TRACE = 32768
G_SCRIPT = 8388608


def walk_inputs(link):
    """Resolve symbols"""
    resolver = Resolver(link)
    resolver.join_all()
    resolver.apply_command_line()
    resolver.walk_items(link.sequence)
    resolver.finish()


class Resolver:
    """One walk; holds what lives only as long as it."""

    def __init__(self, link):
        self.link = link
        self.tables = link.tables
        self.muldefs = link.options.allow_multiple_definition
        self.wrapped = []           # (gid, gid) pairs of --wrap
        self.extra = {}             # file -> [(symbol index, gid)]: versions asked for by name
        self.loaded_by = {}         # DSO soname -> SharedLibrary that is in the link
        self.needed_names = set()   # DT_NEEDED of the shared objects met so far

    # -- joining ahead of the walk

    def join_all(self):
        """Parses and joins in waves what the link will probably need."""
        link, tables = self.link, self.tables
        rows = []
        wave = []
        unindexed = []
        for item in each_item(link.sequence):
            if item.kind in ("object", "shared", "just-symbols"):
                wave.append(item.input.file)
            elif item.kind == "archive":
                if item.node.state.whole_archive:
                    members = item.items = archive.list_members(tables, item.row)
                    self.open_members(item.row, members)
                    wave.extend(members)
                elif archive.has_index(tables, item.row):
                    rows.append(item.row)
                else:
                    members = archive.list_members(tables, item.row)
                    self.open_members(item.row, members)
                    unindexed.append((item.row, members))
            elif item.kind == "lib":
                members = [inner.input.file for inner in each_item(item.items) if inner.kind == "object"]
                item.row = archive.make_library(tables, members)
                unindexed.append((item.row, members))
        join.join_indices(tables, rows)
        for row, members in unindexed:
            self.parse(members)
            join.join_files(tables, members)
            join.index_members(tables, row, members)
        self.join_wraps()
        wave = self.join_wave(wave)
        for name in self.command_line_names():
            member = join.wanted_member(tables, join.intern(tables, name))
            if member:
                wave.append(member)
        wave = wave or self.move_dotted_names()
        while wave:
            wave = sorted(set(wave))
            self.open_by_archive(wave)
            wave = self.join_wave(wave) or self.move_dotted_names()
        self.read_shared_info()
        self.resolve_versions()

    def join_wave(self, wave):
        """Parses and joins some files; the members that they want next."""
        self.parse(wave)
        wanted = join.join_files(self.tables, wave)
        self.move_names()
        if self.wrapped:
            wanted = sorted(set(wanted) | set(walk.rewrite_wrapped(self.tables, wave, self.wrapped)))
        return wanted

    def move_names(self):
        """References to a name become references to the better one that a shared object has, where the target says so."""
        moves = getattr(self.link.target.data, "better_names", None)
        for plain, better in moves(self.link) if moves is not None else ():
            pair = join.intern(self.tables, plain), join.intern(self.tables, better)
            if pair not in self.wrapped and self.in_shared_object(pair[1]):
                self.wrapped.append(pair)
                symbols.add_flags(self.tables, pair[0], G_WRAP)

    def parse(self, ids):
        """Parses files; IR among them is given to the compiler plugin."""
        parse.parse_files(self.tables, ids)
        intermediate = parse.intermediate_files(self.tables, ids)
        if intermediate:
            claim_inputs(self.link, intermediate)
            parse.parse_files(self.tables, ids)

    def in_shared_object(self, gid):
        """Whether a shared object of the command line defines a name."""
        return any(walk.shared_symbols_named(self.tables, item.input.file, gid)
                   for item in each_item(self.link.sequence) if item.kind == "shared")

    def move_dotted_names(self):
        """References to `.name`, which nothing has, become references to `name`, whose descriptor says where its code
        is, where the target has descriptors. Returns the archive members that these want."""
        pairs = []
        if hasattr(self.link.target.data, "DESCRIPTORS"):
            for dotted, name in walk.dotted_references(self.tables):
                gid = join.intern(self.tables, name)
                if walk.is_offered(self.tables, gid) or self.in_shared_object(gid):
                    pairs.append((dotted, gid))
                    symbols.add_flags(self.tables, dotted, G_WRAP)
        if not pairs:
            return []
        self.wrapped += pairs
        return walk.rewrite_wrapped(self.tables, range(1, files.count_files(self.tables)), self.wrapped)

    def open_members(self, row, members):
        """Reads the headers of archive members; a thin archive's are opened where they lie."""
        for file, path in archive.open_members(self.tables, row, members):
            base = dirname(files.file_name(self.tables, files.file_state(self.tables, file)[2]))
            full = path if path.startswith(b"/") or not base else encode(base) + b"/" + path
            try:
                files.attach_file(self.tables, file, full)
            except OSError as error:
                files.set_state_bad(self.tables, file)
                self.link.diag.error(f"{files.file_name(self.tables, file)}: cannot open the member of a thin archive: "
                                     f"{posix.strerror(error.errno)}")

    def open_by_archive(self, members):
        """open_members() for members of several archives, ascending file ids."""
        row = 0
        batch = []
        for member in members:
            if not archive.holds(self.tables, row, member):
                if batch:
                    self.open_members(row, batch)
                row = archive.archive_of(self.tables, member)
                batch = []
            batch.append(member)
        if batch:
            self.open_members(row, batch)

    def command_line_names(self):
        """Names that the command line refers to, bytes."""
        link = self.link
        options = link.options
        names = list(options.undefined) + list(options.require_defined) + list(link.extra["externs"])
        if not options.relocatable:
            entry = self.entry_name()
            if entry:
                names.append(entry)
        return [name.encode("utf-8", "surrogateescape") for name in names]

    def entry_name(self):
        """The entry symbol, None when it is a number or a shared object is asked for none."""
        link = self.link
        entry = link.options.entry
        if entry is None and not link.options.shared:
            entry = next((command[2] for command in reversed(link.script) if command[0] == ast.ENTRY),
                         link.target.style.entry)
        if not entry or entry[0].isdigit():
            return None
        return entry

    def join_wraps(self):
        """--wrap: names the gids and marks those whose references move."""
        for name in self.link.options.wrap:
            text = name.encode("utf-8", "surrogateescape")
            plain = join.intern(self.tables, text)
            wrapper = join.intern(self.tables, b"__wrap_" + text)
            real = join.intern(self.tables, b"__real_" + text)
            self.wrapped += [(plain, wrapper), (real, plain)]
            symbols.add_flags(self.tables, plain, G_WRAP)
            symbols.add_flags(self.tables, real, G_WRAP)

    # -- versions by name

    def read_shared_info(self):
        """Sonames, needs and version names of the shared objects."""
        for library in self.link.libraries:
            self.read_library(library)

    def read_library(self, library):
        if files.file_state(self.tables, library.file)[1] == 3:
            return
        soname, needed, paths, flags1, versions = parse.shared_info(self.tables, library.file)
        if soname is not None:
            library.soname = soname.decode("utf-8", "surrogateescape")
        else:
            # The name as given; what -l found counts without its folder.
            entry = self.link.inputs.get(library.file)
            by_path = entry is not None and isinstance(entry.node, FileNode)
            library.soname = entry.name if by_path else basename(library.path)
        library.needed = [name.decode("utf-8", "surrogateescape") for name in needed]
        library.runpath = [name.decode("utf-8", "surrogateescape") for name in paths]
        library.flags1 = flags1
        library.versions = versions

    def resolve_versions(self):
        """`foo@V`: finds the definitions in shared objects and objects that answer such names."""
        named = walk.versioned_names(self.tables)
        if not named:
            return
        asked = {}
        for gid, file, sym, base, version, default, defined in named:
            if not defined:
                asked[gid] = (base, version)
            elif default:
                alias = symbols.lookup(self.tables, base + b"@" + version)
                if alias:
                    self.extra.setdefault(file, []).append((sym, alias))
        for gid, (base, version) in asked.items():
            plain = symbols.lookup(self.tables, base)
            if not plain:
                continue
            for library in self.link.libraries:
                for sym, index in walk.shared_symbols_named(self.tables, library.file, plain):
                    if index < len(library.versions) and library.versions[index] == version:
                        self.extra.setdefault(library.file, []).append((sym, gid))

    # -- the walk

    def apply_command_line(self):
        """References that the command line itself makes, before any file."""
        for name in self.command_line_names():
            symbols.refer(self.tables, join.intern(self.tables, name))
        walk.reserve_walk(self.tables)

    def walk_items(self, items):
        """The walk proper: objects, archives, libraries and groups in order."""
        for item in items:
            self.walk_item(item)

    def walk_item(self, item):
        kind = item.kind
        if kind == "object":
            self.load_object(item.input.file)
        elif kind == "shared":
            self.load_shared(item)
        elif kind == "archive":
            if item.node.state.whole_archive:
                for member in item.items:
                    self.load_object(member)
            else:
                self.search(item.row)
        elif kind == "group":
            first = True
            while True:
                loaded = 0
                for inner in item.items:
                    if self.is_searched(inner):
                        loaded += self.search(inner.row)
                    elif first or inner.kind == "shared":
                        # What it wants may be in an archive in front of it; a library may be needed only now.
                        self.walk_item(inner)
                        loaded += first
                first = False
                if not loaded:
                    break
        elif kind == "lib":
            self.search(item.row)
        elif kind == "just-symbols":
            for gid, value, type, _ in walk.absolute_symbols(self.tables, item.input.file):
                if symbols.state(self.tables, gid) not in (symbols.DEFINED, symbols.DEFINED_WEAK):
                    symbols.define(self.tables, gid, 0, type, 0, value, G_ABSOLUTE)
        elif kind == "defsym":
            gid = join.intern(self.tables, item.node.symbol.encode("utf-8", "surrogateescape"))
            if item.node.symbol != ".":
                symbols.define(self.tables, gid, 0, 0, 0, 0, G_SCRIPT)

    def is_searched(self, item):
        return item.kind == "lib" or (item.kind == "archive" and not item.node.state.whole_archive)

    def load_object(self, file):
        walk.walk_object(self.tables, file, self.muldefs, self.extra.get(file, ()))
        if self.link.lto is not None and self.link.lto.ends_with(self.link, file):
            walk.take_groups(self.tables, [join.intern(self.tables, name) for name in self.link.lto.groups], file)

    def search(self, row):
        """Searches one archive until nothing new is found; the number of members loaded."""
        total = 0
        position = 0
        while True:
            loaded, pending, position = walk.walk_archive(self.tables, row, self.muldefs, position)
            total += loaded
            if not pending:
                return total
            self.open_members(row, [pending])
            self.join_wave([pending])
            if files.file_state(self.tables, pending)[1] == 0:
                files.set_state_bad(self.tables, pending)
            walk.reserve_walk(self.tables)

    def load_shared(self, item):
        """A shared object where it stands: --as-needed ones only when they answer something."""
        library = item.library
        tables = self.tables
        state = files.file_state(tables, library.file)[1]
        if state != 1:
            return
        same = self.loaded_by.get(library.soname)
        if same is not None:
            return
        extra = self.extra.get(library.file, ())
        if library.as_needed and not walk.satisfies(tables, library.file, library.soname not in self.needed_names,
                                                    extra):
            return
        self.loaded_by[library.soname] = library
        library.is_needed = True
        self.needed_names.update(library.needed)
        walk.walk_shared(tables, library.file, False, extra)

    # -- after the walk

    def finish(self):
        """The DT_NEEDED closure, then what only the whole picture shows."""
        link = self.link
        if not link.options.relocatable and not link.options.shared and link.libraries:
            self.follow_needed()
        link.libraries = [library for library in link.libraries if library.is_needed or library.indirect]
        for name in link.options.require_defined:
            gid = symbols.lookup(self.tables, name.encode("utf-8", "surrogateescape"))
            if not gid or symbols.state(self.tables, gid) not in (3, 4, 5):
                link.diag.error(f"required symbol `{name}' not defined")
        walk.reset_marks(self.tables)

    def follow_needed(self):
        """Opens the shared objects that linked ones need, so that references of shared objects can be checked
        (GNU ld manual, -rpath-link)."""
        queue = [library for library in self.link.libraries if library.is_needed]
        seen = set(self.loaded_by)
        while queue:
            library = queue.pop(0)
            for name in library.needed:
                if name in seen:
                    continue
                seen.add(name)
                found = self.find_needed(name, library)
                if found is not None:
                    queue.append(found)

    def find_needed(self, name, origin):
        """The SharedLibrary for a DT_NEEDED name, opened and walked as an indirect one; None when not found."""
        link = self.link
        for path in needed_candidates(link, name, origin):
            if not is_file(path):
                continue
            try:
                file, kind, _ = files.map_file(self.tables, encode(path), encode(path))
            except OSError:
                continue
            if kind != "shared":
                continue
            known = parse.identify(self.tables, file)
            data = link.target.data
            if (known[2], known[0] == 2, known[1] == 2) != (data.MACHINE, data.ELF_CLASS == 64, data.BIG_ENDIAN):
                continue
            files.set_kind(self.tables, file, "shared", FILE_INDIRECT)
            library = SharedLibrary(file, path)
            library.indirect = True
            self.join_wave([file])
            self.read_library(library)
            walk.reserve_walk(self.tables)
            walk.walk_shared(self.tables, file, True)
            link.libraries.append(library)
            return library
        return None


def needed_candidates(link, name, origin):
    """Where GNU ld looks for the shared object that another needs (GNU ld manual, -rpath-link)."""
    if "/" in name:
        yield name
        return
    options = link.options
    for folder in options.rpath_link:
        yield f"{folder}/{name}"
    for folder in options.rpath:
        yield f"{folder}/{name}"
    if not options.sysroot:
        for paths in origin.runpath:
            for folder in paths.split(":"):
                folder = folder.replace("$ORIGIN", dirname(origin.path) or ".")
                folder = folder.replace("${ORIGIN}", dirname(origin.path) or ".")
                yield f"{folder}/{name}"
        for folder in decode(posix.environ.get(b"LD_LIBRARY_PATH", b"")).split(":"):
            if folder:
                yield f"{folder}/{name}"
    from mclink import search
    yield f"{dirname(origin.path) or '.'}/{name}"
    for folder in search.library_folders(link):
        yield f"{folder}/{name}"
