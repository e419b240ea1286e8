"""Addresses: the script is obeyed again and again until nothing moves.

Sources: GNU ld manual, nodes "Location Counter", "Output Section Address", "Output Section LMA",
"Builtin Functions", "MEMORY", and the behaviour of GNU ld 2.40.
"""

from mclink.diag import LinkError
from mclink.layout.engine import Engine
from mclink.layout.sections import align_tls, drop_empty
from mclink.layout.segments import assign_offsets, count_headers, decide_stack, is_unpaged, make_segments

# Rounds after which a layout that still moves is given up. Thunks and RELR only grow, so a layout that
# converges does so in a handful.
_ROUNDS = 40


def assign_addresses(link):
    """assign addresses

    Leaves final addresses in `frag_addr` and `link.outputs`, `link.segments`, the values of the names
    that the script assigns, and `link.image` "phoff", "phnum", "shoff_min" (end of what has an offset).
    """
    drop_empty(link)
    if link.plan.plain:
        link.members.number_plain(link.tables, len(link.runs), len(link.outputs))
    align_tls(link)
    prepare = getattr(link.target.data, "prepare_layout", None)
    if prepare is not None:
        prepare(link)
    engine = Engine(link)
    decide_stack(link)
    engine.headers = count_headers(link, engine.relro and not is_unpaged(link))
    hooks = size_hooks(link)
    for round in range(_ROUNDS):
        engine.size_sections()
        segments = make_segments(link, engine)
        moved = engine.moved()
        if len(segments) != engine.headers:
            # A count that swings would swing for ever: from the third round on it may only grow.
            engine.headers = max(len(segments), engine.headers) if round > 2 else len(segments)
            continue
        if moved:
            continue
        if not any([hook(link) for hook in hooks]):
            break
        link.members.invalidate()
    else:
        raise LinkError("the layout does not converge: " + engine.describe_movement())
    link.segments = segments
    engine.finish()
    link.extra["engine"] = engine   # the map tells what came of the statements
    assign_offsets(link, engine)
    link.members.finish(link.tables, [0] + [section.address for section in link.outputs])


def size_hooks(link):
    """Functions (link) -> bool that change sizes once addresses are known, and say whether they did. While
    they run, frag_addr holds offsets and OutputSection.address the addresses of this round."""
    hooks = []
    if link.tables is not None and link.dynamic is not None and link.options.pack_dyn_relocs != "none":
        from mclink.layout.dynamic import packs_relocations, size_packed, size_relr
        hooks.append(size_relr)
        if packs_relocations(link):
            hooks.append(size_packed)
    if hasattr(link.target.data, "THUNKS") and not link.options.relocatable:
        from mclink.layout.thunks import thunk_hook
        hooks.append(thunk_hook(link))
    return hooks
