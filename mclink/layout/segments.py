"""Program headers and file offsets.

Sources: gABI chapter 5, GNU ld manual node "PHDRS", and the behaviour of GNU ld 2.40.
"""

from mclink._core import files, place
from mclink.context import Segment
from mclink.diag import LinkError
from mclink.elf import (
    PF_R, PF_W, PF_X, PT_DYNAMIC, PT_GNU_EH_FRAME, PT_GNU_PROPERTY, PT_GNU_RELRO, PT_GNU_STACK, PT_INTERP,
    PT_LOAD, PT_NOTE, PT_PHDR, PT_TLS, SHF_ALLOC, SHF_EXECINSTR, SHF_TLS, SHF_WRITE, SHT_NOBITS, SHT_NOTE)
from mclink.script.evaluate import absolute_value
from mclink.script.evaluate import align as round_up

_STACK_ALIGN = 16


def header_sizes(link):
    """(bytes of the ELF header, bytes of a program header)."""
    return (52, 32) if link.target.data.ELF_CLASS == 32 else (64, 56)


def count_headers(link, relro):
    """How many program headers there will be, before addresses are known: right for most links.

    relro: there will be a PT_GNU_RELRO."""
    if link.plan.phdrs is not None:
        return len(link.plan.phdrs)
    if link.options.relocatable:
        return 0
    outputs = [section for section in link.outputs if section.flags & SHF_ALLOC]
    separate = separates_code(link)
    loads = 0
    current = None
    for section in outputs:
        kind = (bool(section.flags & SHF_WRITE), separate and bool(section.flags & SHF_EXECINSTR))
        if kind != current and not (current is not None and current[0] and not link.options.omagic
                                    and kind == (False, current[1])):
            loads += not (is_unpaged(link) and loads)
            current = kind
    return max(loads, 1) + bool(relro) + len(_other_segments(link, outputs, loads > 0, True))


def separates_code(link):
    """Whether code and read-only data have segments of their own."""
    wanted = link.options.z_separate_code
    if wanted is None and link.options.execute_only:
        return not is_unpaged(link)
    if wanted is None and not link.options.rosegment:
        return False
    if wanted is None:
        data = link.target.data
        return bool(getattr(data, "SEPARATE_CODE", {}).get(link.target.flavour)) and not is_unpaged(link)
    return wanted != "none"


def is_unpaged(link):
    """-N and -n: segments need not agree with pages of the file."""
    return link.options.omagic or link.options.nmagic


def make_segments(link, engine):
    """The program headers in order, without offsets; addresses of sections are known."""
    if link.options.relocatable:
        return []
    if link.plan.phdrs is not None:
        return _script_segments(link, engine)
    for section in link.outputs:
        for name in section.phdrs or ():
            _no_phdr(link, section, name)
    allocated = [section for section in link.outputs if section.flags & SHF_ALLOC]
    # By load address; empty and zero-filled sections stay where the script has them.
    allocated.sort(key=lambda section: (section.lma, section.address, section.number))
    loads = _map_loads(link, engine, allocated)
    headers = bool(loads and loads[0].headers)
    segments = _other_segments(link, allocated, headers, False, loads)
    if engine.relro and engine.relro_end and not is_unpaged(link):
        _add_relro(engine, segments, allocated)
    return segments


def _room(section):
    """Bytes that a section takes in memory, as far as the next section's address is concerned."""
    return 0 if section.type == SHT_NOBITS and section.flags & SHF_TLS else section.size


def _map_loads(link, engine, sections):
    """PT_LOAD segments of the sections, in order of load addresses."""
    page = engine.page_sizes["MAXPAGESIZE"]
    separate = separates_code(link)
    unpaged = is_unpaged(link)
    loads = []
    current = last = None
    for section in sections:
        writable = section.flags & SHF_WRITE
        code = section.flags & SHF_EXECINSTR
        if current is None or _starts_segment(current, last, section, page, separate, unpaged):
            current = Segment(PT_LOAD, PF_R)
            loads.append(current)
        current.outputs.append(section)
        current.flags |= (PF_W if writable else 0) | (PF_X if code else 0)
        last = section
    if loads and not unpaged:
        _place_headers(link, engine, loads, page, separate)
    if link.options.execute_only:
        for segment in loads:
            if segment.flags & PF_X:
                _hide_code(link, segment)
    return loads


def _hide_code(link, segment):
    """--execute-only: code cannot be read, so nothing but code may stand beside it."""
    for section in segment.outputs:
        if not section.flags & SHF_EXECINSTR:
            raise LinkError(f"--execute-only does not support intermingling data and code: section '{section.name}'")
    segment.flags &= ~PF_R


def _starts_segment(segment, last, section, page, separate, unpaged):
    end = last.lma + _room(last)
    if last.lma - last.address != section.lma - section.address or section.lma < end:
        return True
    if round_up(end, page) + page <= section.lma:
        return True
    if not unpaged and (end - 1 if end else 0) & -page == section.lma & -page:
        return False
    if last.type == SHT_NOBITS and not last.flags & SHF_TLS and section.type != SHT_NOBITS:
        return True
    if unpaged:
        return False
    if separate and bool(segment.flags & PF_X) != bool(section.flags & SHF_EXECINSTR):
        return True
    return bool(section.flags & SHF_WRITE and not segment.flags & PF_W)


def _place_headers(link, engine, loads, page, separate):
    """Let the first segment, or one of its own, cover the ELF header and the program headers when there is
    room in front of the first section."""
    first = loads[0].outputs[0]
    size = engine.header_bytes()
    inside = first.lma % page >= size % page and first.address >= size
    if not inside and not engine.uses_headers:
        return
    if first.address < round_up(size, page) and not inside:
        return
    if separate and first.flags & SHF_EXECINSTR:
        segment = Segment(PT_LOAD, PF_R)
        segment.headers = True
        loads.insert(0, segment)
    else:
        loads[0].headers = True


def _other_segments(link, sections, headers, estimate, loads=()):
    """All segments of the default order around the given PT_LOADs; with `estimate`, those to count."""
    by_name = {section.name: section for section in sections}
    segments = []

    def add(type, flags, outputs, align=None):
        segment = Segment(type, flags)
        segment.outputs = outputs
        segment.align = align or max((section.align for section in outputs), default=1)
        segments.append(segment)
        return segment

    for name, type in getattr(link.target.data, "SEGMENTS", ()):
        if name in by_name:
            add(type, _flags([by_name[name]]), [by_name[name]])
    interp = by_name.get(".interp")
    if interp is not None:
        if headers:
            add(PT_PHDR, PF_R, [], link.target.data.ELF_CLASS // 8)
        add(PT_INTERP, PF_R, [interp])
    segments += loads
    dynamic = by_name.get(".dynamic")
    if dynamic is not None:
        add(PT_DYNAMIC, _flags([dynamic]), [dynamic])
    for notes in _note_groups(sections, estimate):
        add(PT_NOTE, _flags(notes), notes)
    tls = [section for section in sections if section.flags & SHF_TLS]
    if tls:
        add(PT_TLS, PF_R, tls)
    if ".note.gnu.property" in by_name:
        add(PT_GNU_PROPERTY, PF_R, [by_name[".note.gnu.property"]])
    if ".eh_frame_hdr" in by_name and link.options.eh_frame_hdr:
        add(PT_GNU_EH_FRAME, PF_R, [by_name[".eh_frame_hdr"]])
    if link.image["stack"] is not None:
        add(PT_GNU_STACK, link.image["stack"], [], _STACK_ALIGN)
    return segments


def decide_stack(link):
    """Sets link.image["stack"]: the flags of PT_GNU_STACK, None for no header. -z execstack decides, else the
    inputs do: one that asks for an executable stack gets it, and where that is the machine's default (DEFAULT_EXECSTACK)
    one that says nothing while others do."""
    options = link.options
    link.image["stack"] = None
    if options.relocatable or not options.z_gnustack:
        return
    wanted = options.z_execstack
    if wanted is None:
        executable, missing, noted = place.stack_request(link.tables)
        missing = missing if getattr(link.target.data, "DEFAULT_EXECSTACK", True) else 0
        if not noted and not options.z_stack_size:
            return
        wanted = bool(executable or missing)
        warns = options.warn_execstack
        if warns is None:
            warns = getattr(link.target.data, "WARN_EXECSTACK", True)
        if executable and warns:
            link.diag.warn(f"{files.file_name(link.tables, executable)}: requires executable stack (because the "
                           ".note.GNU-stack section is executable)")
        elif missing and warns:
            link.diag.warn(f"{files.file_name(link.tables, missing)}: missing .note.GNU-stack section implies "
                           "executable stack")
    link.image["stack"] = PF_R | PF_W | (PF_X if wanted else 0)


def _flags(sections):
    flags = PF_R
    for section in sections:
        if section.flags & SHF_WRITE:
            flags |= PF_W
        if section.flags & SHF_EXECINSTR:
            flags |= PF_X
    return flags


def _note_groups(sections, estimate):
    """Notes that follow each other without a gap and have one alignment share a PT_NOTE."""
    groups = []
    last = None
    for section in sections:
        if section.type == SHT_NOTE:
            if (last is not None and last.align == section.align
                    and (estimate or section.lma == round_up(last.lma + last.size, section.align))):
                groups[-1].append(section)
            else:
                groups.append([section])
            last = section
        else:
            last = None
    return groups


def _add_relro(engine, segments, sections):
    """PT_GNU_RELRO over the sections between DATA_SEGMENT_ALIGN and DATA_SEGMENT_RELRO_END."""
    covered = [section for section in sections
               if engine.segment_base <= section.address < engine.relro_end and section.size]
    if not covered:
        return
    segment = Segment(PT_GNU_RELRO, PF_R)
    segment.outputs = covered
    segment.name = "RELRO"
    segments.append(segment)


# -- PHDRS

def _script_segments(link, engine):
    """The segments of a PHDRS command; `:phdr` holds for the sections that follow."""
    segments = []
    by_name = {}
    for name, pos, type, filehdr, phdrs, at, flags in link.plan.phdrs:
        segment = Segment(_number(type, engine), 0 if flags is None else _number(flags, engine))
        segment.name = name
        segment.headers = bool(filehdr or phdrs)
        segments.append(segment)
        by_name[name] = segment, flags is not None, at
    current = None
    for section in link.outputs:
        if section.phdrs:
            current = section.phdrs
        elif not section.flags & SHF_ALLOC:
            continue
        elif current is None:
            # Sections in front of the first `:phdr` go to the first segment that is loaded.
            current = [segment.name for segment in segments if segment.type == PT_LOAD][:1]
        for name in current:
            if name == "NONE":
                continue
            if name not in by_name:
                _no_phdr(link, section, name)
            by_name[name][0].outputs.append(section)
    for segment, has_flags, _ in by_name.values():
        if not has_flags:
            segment.flags = _flags(segment.outputs)
        segment.align = max((section.align for section in segment.outputs),
                            default=link.target.data.ELF_CLASS // 8)
        if segment.type == PT_NOTE:
            for section in segment.outputs:
                section.type = SHT_NOTE
    return segments


def _no_phdr(link, section, name):
    if name != "NONE":
        link.sources.fail(section.definition[1] if section.definition is not None else 0,
                          f"section '{section.name}' assigned to non-existent phdr '{name}'")


def _number(expr, engine):
    return expr if type(expr) is int else absolute_value(expr, engine)


# -- file offsets

def assign_offsets(link, engine):
    """Give sections and segments their places in the file; `link.image` gets "phoff", "phnum" and "end"."""
    ehdr, phdr = header_sizes(link)
    segments = link.segments
    headers_end = ehdr + phdr * len(segments)
    link.image["phoff"] = ehdr if segments else 0
    link.image["phnum"] = len(segments)
    end = headers_end
    page = engine.page_sizes["MAXPAGESIZE"]
    placed = set()
    unpaged = is_unpaged(link)
    apart = link.options.z_separate_code == "loadable" and not unpaged
    for segment in segments:
        if segment.type == PT_LOAD:
            if apart:
                end = round_up(end, page)
            end = _place_load(link, segment, end, headers_end, page, unpaged, placed)
    for section in link.outputs:
        if section in placed:
            continue
        section.offset = round_up(end, section.align)
        if section.type == SHT_NOBITS:
            section.file_size = 0
            if link.options.relocatable:
                end = section.offset
            continue
        section.file_size = section.size
        end = section.offset + section.size
    ats = {header[0]: header[5] for header in link.plan.phdrs or ()}
    for segment in segments:
        if segment.type == PT_PHDR or segment.headers and segment.type != PT_LOAD and not segment.outputs:
            _cover_headers(link, segment, segments, headers_end)
        elif segment.type == PT_GNU_STACK and not segment.outputs:
            segment.size = link.options.z_stack_size or 0
        elif segment.type != PT_LOAD:
            _cover_sections(segment)
            if segment.name == "RELRO" and segment.type == PT_GNU_RELRO and link.plan.phdrs is None:
                _finish_relro(engine, segment, segments)
        if segment.name is not None and ats.get(segment.name) is not None:
            segment.lma = _number(ats[segment.name], engine)
    link.image["end"] = end


def _place_load(link, segment, end, headers_end, page, unpaged, placed):
    """Offsets of one PT_LOAD and its sections; returns the end of what the file holds so far."""
    outputs = segment.outputs
    segment.align = max([section.align for section in outputs] + ([1] if unpaged else [page]))
    if not outputs:
        if segment.headers:
            following = next((s for s in link.segments if s.type == PT_LOAD and s.outputs), None)
            address = lma = 0
            if following is not None:
                first = following.outputs[0]
                address = (first.address - headers_end) & -page
                lma = (first.lma - headers_end) & -page
            segment.address = max(address, 0)
            segment.lma = max(lma, 0)
            segment.offset = 0
            segment.file_size = segment.size = headers_end
            return max(end, headers_end)
        segment.offset = end
        return end
    first = outputs[0]
    if segment.headers:
        offset = headers_end
    else:
        offset = max(end, headers_end)
    modulus = segment.align
    offset += (first.address - offset) % modulus
    if segment.headers:
        if first.address < offset:
            link.diag.error(f"not enough room for program headers in front of section '{first.name}'; try -N")
            return end
        segment.offset = 0
        segment.address = first.address - offset
        segment.lma = first.lma - offset
    else:
        segment.offset = offset
        segment.address = first.address
        segment.lma = first.lma
    start = segment.offset
    file_end = headers_end if segment.headers else offset
    memory_end = segment.address + (headers_end if segment.headers else 0)
    for section in outputs:
        if section.address < memory_end and section.size and section is not first:
            link.diag.error(f"section '{section.name}' cannot be allocated in segment {link.segments.index(segment)}:"
                            " it lies in front of the section before it")
            return end
        place = start + (section.address - segment.address)
        tbss = section.type == SHT_NOBITS and section.flags & SHF_TLS
        if not tbss:
            memory_end = max(memory_end, section.address + section.size)
        if section.type != SHT_NOBITS:
            section.offset = place
            section.file_size = section.size
            file_end = max(file_end, place + section.size)
        else:
            # In front of loaded sections it is written out as zeros, by the gap that it leaves.
            section.file_size = 0
            section.offset = file_end
        placed.add(section)
    segment.file_size = file_end - segment.offset
    segment.size = memory_end - segment.address
    if not segment.file_size and not segment.headers:
        # Nothing of it is in the file: any offset will do that agrees with the address.
        segment.offset = first.address % modulus
        return end
    return max(end, file_end)


def _cover_headers(link, segment, segments, headers_end):
    """PT_PHDR: the program headers, at the address that the PT_LOAD over them gives."""
    ehdr = header_sizes(link)[0]
    carrier = next((load for load in segments if load.type == PT_LOAD and load.headers), None)
    segment.offset = ehdr
    segment.file_size = segment.size = headers_end - ehdr
    segment.align = link.target.data.ELF_CLASS // 8
    segment.flags = segment.flags or PF_R
    if carrier is not None:
        segment.address = carrier.address + ehdr - carrier.offset
        segment.lma = carrier.lma + ehdr - carrier.offset


def _cover_sections(segment):
    outputs = segment.outputs
    if not outputs:
        segment.align = max(segment.align, 1)
        return
    first = outputs[0]
    segment.address = first.address
    segment.lma = first.lma
    segment.offset = first.offset
    segment.file_size = max(section.offset + section.file_size for section in outputs) - first.offset
    segment.size = max(section.address + section.size for section in outputs) - first.address
    if first.type == SHT_NOBITS:
        segment.file_size = 0


def _finish_relro(engine, segment, segments):
    """RELRO ends on the page boundary that DATA_SEGMENT_RELRO_END made, not at its last section."""
    segment.align = 1
    start = segment.address
    load = next((s for s in segments if s.type == PT_LOAD and s.address <= start < s.address + s.size), None)
    end = engine.relro_end
    if load is not None:
        end = min(end, load.address + load.size)
    segment.size = end - start
    segment.file_size = segment.size
    if load is not None:
        segment.file_size = min(segment.size, max(load.address + load.file_size - start, 0))
