"""Where each name binds: here, to a number, or at run time."""

from mclink._core import bind, files, symbols

ELFOSABI_GNU, ELFOSABI_FREEBSD = 3, 9


def bind_symbols(link):
    """Bind symbols"""
    options = link.options
    tables = link.tables
    if link.target.flavour == "freebsd":
        link.image["osabi"] = ELFOSABI_FREEBSD
    elif bind.has_gnu_symbols(tables):
        link.image["osabi"] = ELFOSABI_GNU
    if options.relocatable:
        return
    policy = unresolved_policy(link)
    bind.bind_globals(tables, options.bsymbolic, has_dynamic_list(options), policy != "ignore", weak_is_dynamic(link),
                      options.gnu_unique)
    for name in options.ignore_unresolved:
        gid = symbols.lookup(tables, name.encode("utf-8", "surrogateescape"))
        if gid:
            bind.ignore_undefined(tables, gid)
    check_shared_libraries(link)


def has_dynamic_list(options):
    """True when only listed names of a shared object may be preempted (GNU ld manual, --dynamic-list)."""
    return bool(options.dynamic_lists or options.dynamic_list_data or options.dynamic_list_cpp_new
                or options.dynamic_list_cpp_typeinfo)


def unresolved_policy(link):
    """"error", "warn" or "ignore" for undefined names of objects: a shared object may have them, unless -z defs."""
    policy = link.options.unresolved_in_objects
    if policy is None:
        return "ignore" if link.options.shared else "error"
    return policy


def weak_is_dynamic(link):
    """True when undefined weak names are left to the run-time linker (GNU ld manual,
    -z dynamic-undefined-weak): in shared objects, and in executables that have one."""
    choice = link.options.z_dynamic_undefined_weak
    if link.options.shared:
        return True
    if choice is not None and not choice:
        return False
    return not link.options.no_dynamic_linker and not link.options.static or bool(link.libraries)


def check_shared_libraries(link):
    """Names that only shared objects need and nothing defines: an error for executables, as in GNU ld, when the
    libraries that those ask for are all in the link."""
    options = link.options
    policy = options.unresolved_in_shared
    if policy is None:
        policy = "ignore" if options.shared else "error"
    if policy == "ignore" or not link.libraries:
        return
    known = {library.soname for library in link.libraries}
    complete = {library.file: all(name in known for name in library.needed) for library in link.libraries}
    for name, file in bind.undefined_in_shared(link.tables):
        if not complete.get(file):
            continue
        text = (f"undefined reference in a shared library: {name.decode('utf-8', 'surrogateescape')}\n"
                f">>> referenced by {files.file_name(link.tables, file)}\n"
                ">>> --allow-shlib-undefined accepts this")
        if policy == "warn":
            link.diag.warn(text)
        else:
            link.diag.error(text)
