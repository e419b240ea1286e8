"""Where files are found: -l, -L, sysroot, names inside scripts.

Source: GNU ld manual, nodes "Options" (-l, -L, --sysroot) and "File Commands" (INPUT, SEARCH_DIR).
"""

from mclink.diag import LinkError
from mclink.paths import dirname, exists


def library_folders(link):
    """Folders that -l searches, in order: -L, then those of scripts and the target unless -nostdlib."""
    folders = list(link.options.library_paths)
    if not link.options.nostdlib:
        folders += link.extra.setdefault("search_dirs", [])
        if link.target is not None:
            for folder in link.target.style.search_dirs():
                folders.append(in_sysroot(link, folder))
    return folders


def in_sysroot(link, folder):
    """A folder of a script or target with a leading "=" or $SYSROOT replaced by the sysroot."""
    if folder.startswith("="):
        return link.options.sysroot + folder[1:]
    if folder.startswith("$SYSROOT"):
        return link.options.sysroot + folder[8:]
    return folder


def library_candidates(link, name, static):
    """Paths to try for -lNAME, in GNU ld's order: in each folder the shared object, then the archive."""
    if name.startswith(":"):
        names = (name[1:],)
    elif static or link.options.relocatable:
        names = (f"lib{name}.a",)
    else:
        names = (f"lib{name}.so", f"lib{name}.a")
    for folder in library_folders(link):
        for file in names:
            yield f"{folder}/{file}"


def find_named(link, path, origin):
    """The path to open for a name inside the script `origin`: below the sysroot when the script is, then as it
    stands, then in the folder of the script and in the library folders. None when there is no such file."""
    sysroot = link.options.sysroot
    if path.startswith(("=", "$SYSROOT")):
        path = in_sysroot(link, path)
        return path if exists(path) else None
    if path.startswith("/"):
        inside = sysroot.rstrip("/") + path
        if sysroot and is_below(origin, sysroot) and exists(inside):
            return inside
        return path if exists(path) else None
    if exists(path):
        return path
    folder = dirname(origin)
    beside = f"{folder}/{path}" if folder else path
    if exists(beside):
        return beside
    for folder in library_folders(link):
        found = f"{folder}/{path}"
        if exists(found):
            return found
    return None


def is_below(path, folder):
    """Is the file in the folder, links followed?"""
    from os.path import realpath
    return realpath(path).startswith(realpath(folder).rstrip("/") + "/")


def missing(link, what):
    """The LinkError for a file that is nowhere, with the folders that were searched."""
    text = f"unable to find library {what}"
    if what.startswith("-l"):
        folders = []
        for folder in library_folders(link):
            if folder not in folders:
                folders.append(folder)
        for folder in folders[:12]:
            text += f"\n>>> searched in {folder}"
        if len(folders) > 12:
            text += f"\n>>> and {len(folders) - 12} more folders"
        if not folders:
            text += "\n>>> no folder to search: -L was not given and the target has none"
    return LinkError(text)
