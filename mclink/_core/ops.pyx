"""Level 1: makes the C table of a target out of its Python rows; see ops.pxd."""
from libc.stdlib cimport calloc, free
from libc.string cimport memset

# Struct fields that a target's constants fill, by name.
cdef enum:
    MAX_TYPE = 65536


cdef class OpsTable:
    """The target as nogil code sees it.

    rows: iterable of (number, quantity, reference, field, size, flags, relax, align, low, high), as
    mclink.target.reloc.compile_rows makes them. constants: dict with the names of the scalar
    fields of Ops (word_size, got_header, tlsdesc_size, dyn_*).
    Raises ValueError for a number outside [0, 65536) or an unknown constant."""

    def __init__(self, rows, constants):
        rows = list(rows)
        cdef uint32_t count = max([row[0] for row in rows]) + 1
        cdef RelocType* t
        if count > MAX_TYPE:
            raise ValueError("relocation number out of range")
        if self.ops.types != NULL:
            raise ValueError("OpsTable is initialised once")
        self.ops.types = <RelocType*>calloc(count, sizeof(RelocType))
        if self.ops.types == NULL:
            raise MemoryError
        self.ops.ntypes = count
        for number, quantity, reference, field, size, flags, relax, align, low, high in rows:
            t = &self.ops.types[<uint32_t>number]
            t.quantity = quantity
            t.reference = reference
            t.field = field
            t.size = size
            t.flags = flags
            t.relax = relax
            t.align = align
            t.low = low
            t.high = high
        for name, value in constants.items():
            self.set_constant(name, value)

    def set_constant(self, name, value):
        """Sets one scalar field of Ops; ValueError when there is none of that name."""
        cdef Ops* o = &self.ops
        if name == "word_size": o.word_size = value
        elif name == "got_header": o.got_header = value
        elif name == "got_reserved": o.got_reserved = value
        elif name == "got_first_gp": o.got_first_gp = value
        elif name == "slot_size": o.slot_size = value
        elif name == "gotplt_is_plt": o.gotplt_is_plt = value
        elif name == "dyn_jump_irelative": o.dyn_jump_irelative = value
        elif name == "weak_words": o.weak_words = value
        elif name == "no_plt_got": o.no_plt_got = value
        elif name == "own_got": o.own_got = value
        elif name == "eh_pcrel": o.eh_pcrel = value
        elif name == "plt_other": o.plt_other = value
        elif name == "arch_flags": o.arch_flags = value
        elif name == "thunk_page": o.thunk_page = value
        elif name == "thunk_spacing": o.thunk_spacing = value
        elif name == "tlsdesc_size": o.tlsdesc_size = value
        elif name == "code_bits": o.code_bits = value
        elif name == "desc_argument": o.desc_argument = value
        elif name == "pair_relocated": o.pair_relocated = value
        elif name == "dyn_symbolic": o.dyn_symbolic = value
        elif name == "dyn_relative": o.dyn_relative = value
        elif name == "dyn_glob_dat": o.dyn_glob_dat = value
        elif name == "dyn_jump_slot": o.dyn_jump_slot = value
        elif name == "dyn_copy": o.dyn_copy = value
        elif name == "dyn_irelative": o.dyn_irelative = value
        elif name == "dyn_dtpmod": o.dyn_dtpmod = value
        elif name == "dyn_dtpoff": o.dyn_dtpoff = value
        elif name == "dyn_tpoff": o.dyn_tpoff = value
        elif name == "dyn_tpoff_down": o.dyn_tpoff_down = value
        elif name == "dyn_tlsdesc": o.dyn_tlsdesc = value
        else:
            raise ValueError(name)

    def copy_type(self, uint32_t number, uint32_t source):
        """Relocation type `number` means what `source` means from now on. IndexError outside the table."""
        if number >= self.ops.ntypes or source >= self.ops.ntypes:
            raise IndexError(number)
        self.ops.types[number] = self.ops.types[source]

    def use_plt(self, uint32_t style):
        """Chooses PLT style 0..5; ValueError when the target has none of that number."""
        if style >= 6 or self.ops.styles[style].entry == NULL:
            raise ValueError("no such PLT style")
        self.ops.plt = self.ops.styles[style]

    def attach(self, Tables tables):
        """Makes this the target of `tables` (Columns.ops); the tables keep it alive."""
        tables.buffers.append(self)
        tables.c.ops = &self.ops

    def sizes(self):
        """The PLT style in force: dict of header, entry, lazy, got, push_offset, align, in bytes."""
        cdef PltStyle* p = &self.ops.plt
        return {"header": p.header_size, "entry": p.entry_size, "lazy": p.lazy_size, "got": p.got_size,
                "push_offset": p.push_offset, "align": p.align}

    def __dealloc__(self):
        free(self.ops.types)
