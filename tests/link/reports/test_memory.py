"""Memory regions in the map (GNU ld manual, -Map and MEMORY)."""

import pytest


@pytest.mark.targets("amd64", "i386", "armhf")
def test_memory_regions_in_a_map(tc):
    """The columns are GNU ld's for addresses of either size."""
    obj = tc.asm(".text\n.globl _start\n_start: .long 0\n", name="a")
    script = tc.write("m.ld", "MEMORY { flash (rx) : ORIGIN = 0x8000, LENGTH = 64K  rest : ORIGIN = 0x20000000, LENGTH = 4K }\n"
                      "SECTIONS { .text : { *(.text*) } > flash /DISCARD/ : { *(*) } }")

    def regions(chain, name):
        chain.ld(name, "-T", script, "-Map", chain.dir / (name + ".map"), obj)
        text = (chain.dir / (name + ".map")).read_text()
        return text[text.index("Memory Configuration"):text.index("Linker script and memory map")]
    assert regions(tc, "ours") == regions(tc.gnu, "theirs")
