"""What may be behind an undefined symbol, and what to do: the last lines of its error block."""

from mclink._core import files, inspect, parse, symbols
from mclink.demangle import last_identifier
from mclink.places import readable, symbol_text, text_of

VERSYM_HIDDEN = 0x8000
DEFINITIONS = (symbols.DEFINED, symbols.DEFINED_WEAK, symbols.COMMON, symbols.SHARED)
STATE_LIVE = 2              # File.state
FILE_INDIRECT = 1024        # File.flags
MOST_CANDIDATES = 256       # names that are demangled in search of one


def hint_lines(link, gid, first_file):
    """Lines of hints for the undefined global `gid`, whose first reference is in file `first_file`."""
    name = symbols.name(link.tables, gid)
    base = name.partition(b"@")[0]
    for hint in (in_archive, in_shared_object, in_version, missing_key_function, local_elsewhere, other_linkage,
                 misspelt, other_scope):
        lines = hint(link, gid, base, first_file)
        if lines:
            return lines
    return []


def in_archive(link, gid, name, first_file):
    """An archive that stands too early, or whose member failed, has it."""
    for member in inspect.archive_members(link.tables, gid):
        if inspect.file_facts(link.tables, member)[1] < STATE_LIVE:
            _, archive = inspect.file_names(link.tables, member)
            behind = files.file_name(link.tables, first_file) if first_file else "what refers to it"
            shown = files.file_name(link.tables, member)
            if shown.endswith("()"):
                shown = shown[:-2]
            return [f"defined in {shown}, but {text_of(archive or b'it')} stands in front of "
                    f"{behind} on the command line",
                    "move it behind, or put both between --start-group and --end-group"]
    return []


def in_shared_object(link, gid, name, first_file):
    """A shared object has it, but is not part of the link, or must not answer."""
    for file, live, version in inspect.shared_definers(link.tables, gid):
        shown = files.file_name(link.tables, file)
        if version & VERSYM_HIDDEN:
            return [f"defined in {shown} only as {readable(link, name)}@{version_name(link, file, version)}, "
                    "an old version that new links do not get"]
        if not live:
            if inspect.file_facts(link.tables, file)[2] & FILE_INDIRECT:
                return [f"defined in {shown}, which other libraries need but the command line does not name"]
            return [f"defined in {shown}, which --as-needed left out: nothing in front of it needed it",
                    "move it behind what refers to the symbol"]
        if symbols.describe(link.tables, gid)[7]:
            return [f"{shown} defines it, but the reference has hidden visibility: an object or archive of this link "
                    "must define it"]
    return []


def version_name(link, file, index):
    """Name of a version index of a shared object, linked or not."""
    versions = parse.shared_info(link.tables, file)[4]
    index &= ~VERSYM_HIDDEN
    return text_of(versions[index]) if index < len(versions) and versions[index] else "?"


def in_version(link, gid, name, first_file):
    """`foo@V` was asked for; `foo` exists in other versions."""
    full = symbols.name(link.tables, gid)
    if full == name:
        return []
    plain = symbols.lookup(link.tables, name)
    found = []
    for file, _, version in inspect.shared_definers(link.tables, plain) if plain else ():
        found.append(f"{files.file_name(link.tables, file)} defines {readable(link, name)} in version "
                     f"{version_name(link, file, version)} only")
    return found[:3]


def missing_key_function(link, gid, name, first_file):
    """Tables of a class come with its key function (Itanium C++ ABI, 5.2.3)."""
    if name[:4] in (b"_ZTV", b"_ZTT") or (name[:4] in (b"_ZTI", b"_ZTS") and name[4:5] in b"N0123456789"):
        kind = "vtable" if name[3:4] in b"VT" else "type information"
        return [f"the {kind} of a class is emitted with its key function, the first virtual member function that is "
                "neither inline nor pure",
                "define that function, or link the object that does"]
    return []


def local_elsewhere(link, gid, name, first_file):
    """An object keeps a symbol of this name to itself."""
    found = inspect.local_definers(link.tables, name, 1)
    if found:
        return [f"{files.file_name(link.tables, found[0])} defines a symbol of this name, but a local (static) one"]
    return []


def suggestion(link, gid, prefix=""):
    """The two lines of one candidate."""
    file = symbols.describe(link.tables, gid)[0]
    return [f"did you mean: {prefix}{symbol_text(link, gid)}", f"defined in: {files.file_name(link.tables, file)}"]


def other_linkage(link, gid, name, first_file):
    """C on one side, C++ on the other."""
    if name.startswith(b"_Z"):
        identifier = last_identifier(name)
        plain = symbols.lookup(link.tables, identifier) if identifier and not name.startswith(b"_ZN") else 0
        if plain and symbols.state(link.tables, plain) in DEFINITIONS:
            return suggestion(link, plain, 'extern "C" ')
        return []
    for mangled, other in inspect.names_containing(link.tables, b"_Z%d" % len(name) + name, b"", 4):
        if last_identifier(mangled) == name:
            return suggestion(link, other) + ['one side is C, the other C++: declare it extern "C" in both']
    return []


def misspelt(link, gid, name, first_file):
    """A name that differs in case, or in a letter or two."""
    limit = 0 if len(name) < 4 else 1 if len(name) < 10 else 2
    for _, _, other in inspect.similar_names(link.tables, name, limit, len(name) > 5, 1):
        return suggestion(link, other)
    return []


def other_scope(link, gid, name, first_file):
    """The same C++ function in another namespace or class, or with other parameters."""
    identifier = last_identifier(name)
    if not identifier:
        return []
    wanted = taken_apart(readable(link, name))
    best = None
    part = b"%d" % len(identifier) + identifier
    for mangled, other in inspect.names_containing(link.tables, b"_Z", part, MOST_CANDIDATES):
        if last_identifier(mangled) != identifier:
            continue
        found = taken_apart(readable(link, mangled))
        score = (found[0] != wanted[0]) + (found[1] != wanted[1])
        if score < 2 and (best is None or (score, mangled) < best[0]):
            best = (score, mangled), other
    return suggestion(link, best[1]) if best else []


def taken_apart(text):
    """(scope and name, parameters) of a demangled function."""
    name, _, parameters = text.partition("(")
    return name, parameters
