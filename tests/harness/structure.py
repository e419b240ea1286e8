"""What can be said of a program that nothing here can run: that it is put together as a kernel and a run-time linker
want it, and that GNU ld says the same of it."""

from harness.elf import Elf


class NotExecuted(Exception):
    """The test came to a program of a target that cannot be run, and the program's structure is sound. conftest.py
    counts such tests as passed and says at the end how many they were."""


def check_structure(target, path):
    """AssertionError unless the program's headers, segments, sections and dynamic relocations fit each other."""
    e = Elf(path)
    assert e.header["e_ident"]["EI_CLASS"] == f"ELFCLASS{target.bits}" and e.machine == target.machine, path
    assert e.type in ("ET_EXEC", "ET_DYN"), path
    check_segments(e)
    loads = e.loads()
    holder = next((p for p in loads if p.vaddr <= e.entry < p.vaddr + p.filesz), None)
    assert holder is not None and "X" in holder.flags, f"{path}: entry {e.entry:#x} is in no executable segment"
    if e.dyn("DEBUG") is not None and e.interp:
        assert e.interp == target.loader
    for s in e.sections:
        if s.flags & 2 and s.size and not (s.flags & 0x400 and s.type == "SHT_NOBITS"):
            home = next((p for p in loads if p.vaddr <= s.addr and s.addr + s.size <= p.vaddr + p.memsz), None)
            assert home is not None, f"{path}: {s.name} is in no segment"
            assert "W" in home.flags or not s.flags & 1, f"{path}: {s.name} is not writable"
            assert "X" in home.flags or not s.flags & 4, f"{path}: {s.name} is not executable"
    check_dynamic(e)


def check_segments(e):
    loads = e.loads()
    assert loads
    for a, b in zip(loads, loads[1:]):
        assert a.vaddr + a.memsz <= b.vaddr, f"{e.path}: segments overlap"
    for p in loads:
        assert p.filesz <= p.memsz and p.offset + p.filesz <= len(e.raw)
        assert p.align <= 1 or p.offset % p.align == p.vaddr % p.align
    for p in e.segments:
        if p.type in ("PT_TLS", "PT_DYNAMIC", "PT_INTERP", "PT_NOTE", "PT_GNU_EH_FRAME") and p.filesz:
            assert any(q.vaddr <= p.vaddr and p.vaddr + p.filesz <= q.vaddr + q.filesz for q in loads), f"{e.path}: {p.type}"


def check_dynamic(e):
    writable = [p for p in e.loads() if "W" in p.flags]
    low, high = e.loads()[0].vaddr, e.loads()[-1].vaddr + e.loads()[-1].memsz
    for r in e.dynrelocs():
        assert e.dyn("TEXTREL") is not None or any(p.vaddr <= r.offset < p.vaddr + p.memsz for p in writable), \
            f"{e.path}: {r.type} at {r.offset:#x}, which is not writable"
        if r.type.endswith("_RELATIVE") and r.addend is not None:
            assert low <= r.addend <= high, f"{e.path}: {r.type} at {r.offset:#x} leads to {r.addend:#x}"
    for tag, section in (("STRTAB", ".dynstr"), ("SYMTAB", ".dynsym"), ("HASH", ".hash"), ("GNU_HASH", ".gnu.hash")):
        if e.dyn(tag) is not None:
            assert e.section(section).addr == e.dyn(tag), f"{e.path}: DT_{tag}"
