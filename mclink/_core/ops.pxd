# cython: language_level=3
"""Level 1: what the engine asks of a target, as data and a few function pointers.

A relocation type is a row of numbers. Its formula is a quantity (S, L, G ...) and what is subtracted
from it (nothing, P, GOT ...), so that `scan` and `apply` need no case per machine:

    value = quantity + A - reference

Quantities that name a slot (G, GD, GOTTP ...) mean the slot's *address*; psABI texts whose G is an offset
from GOT ("G + A") are the same formula with reference GOT. The strings are in mclink/target/reloc.py.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from mclink._core.elf cimport Rela
from mclink._core.tables cimport Columns, File, Fragment, Tables, Thunk

cdef enum:                   # RelocType.quantity
    Q_UNKNOWN = 0            # no such relocation type: an error in an input
    Q_DYNAMIC = 1            # only the run-time linker knows it (COPY, JUMP_SLOT ...): an error in an input
    Q_NONE = 2               # no effect
    Q_S = 3                  # address of the symbol
    Q_L = 4                  # address of its PLT entry, of the symbol when it needs none
    Q_G = 5                  # address of its GOT slot; with TYPE_TLS, of a slot with TP - S in that place
    Q_GOT = 6                # address of the GOT itself; the symbol does not matter
    Q_Z = 7                  # size of the symbol
    Q_GD = 8                 # address of its module/offset pair
    Q_LD = 9                 # address of the pair for this module; the symbol does not matter
    Q_DTPOFF = 10            # its offset in the module's TLS block
    Q_GOTTP = 11             # address of the GOT slot with its TP offset
    Q_TPOFF = 12             # its offset from the thread pointer
    Q_TLSDESC = 13           # address of its TLS descriptor
    Q_TLSCALL = 14           # marks the call through a descriptor; writes nothing
    Q_GP = 15                # Image.gp itself; the symbol does not matter
    Q_SLOT = 17              # address of the slot that its PLT entry jumps through; of a GOT slot when it has no entry
    Q_GOTDTP = 18            # address of the GOT slot with its DTP offset
    Q_HINT = 19              # mark of a call through a register: Ops may make it a branch when the symbol binds here
    Q_COUNT = 20

cdef enum:                   # RelocType.reference
    R_NONE = 0               # nothing
    R_P = 1                  # address of the field
    R_GOT = 2                # address of the GOT
    R_PAGE = 3               # pages: (X & ~4095) - (P & ~4095)
    R_GP = 4                 # Image.gp: MIPS _gp, PPC64 .TOC.
    R_GOT_PAGE = 5           # page of the GOT: X - (GOT & ~4095)
    R_LOW = 6                # nothing, but only bits inside a page are stored: position-independent beside R_PAGE

cdef enum:                   # RelocType.flags
    TYPE_WORD = 1            # a whole word: may become a dynamic relocation (RELATIVE, symbolic, TPOFF)
    TYPE_TLS = 2             # the symbol must be thread-local
    TYPE_BRANCH = 4          # a call or jump; [low, high] is its reach
    TYPE_WRAP32 = 8          # arithmetic is modulo 2**32, then sign-extended
    TYPE_RELAX = 16          # Ops.choose_relaxation is asked; on a DTPOFF: LD sequences become LE
    TYPE_NO_SYMBOL = 32      # the symbol does not matter (GOT, LD, NONE)
    TYPE_ANY_SYMBOL = 64     # thread-local or not, the symbol is not checked (Z)
    TYPE_DIRECT = 128        # a branch by code that has not set up what PLT entries of PIC need (i386: %ebx)

cdef enum:                   # RelocType.field: how the bits go into the output
    FIELD_NONE = 0           # nothing is written
    FIELD_8 = 1              # a byte
    FIELD_16 = 2             # a halfword
    FIELD_32 = 3             # a word
    FIELD_64 = 4             # a doubleword
    FIELD_ARCH = 8           # FIELD_ARCH + n: Ops.write_field[n], bits of an instruction
    FIELD_ARCH_COUNT = 48

cdef struct RelocType:       # one relocation type of the target, 24 bytes
    uint8_t quantity         # Q_*
    uint8_t reference        # R_*
    uint8_t field            # FIELD_*
    uint8_t size             # bytes of the section that the field covers; 0 for none
    uint8_t flags            # TYPE_*
    uint8_t relax            # the target's own number of the relaxation family, 0 none
    uint16_t align           # what the value must be a multiple of, for instruction fields; 0 or 1 none
    int64_t low              # smallest legal value
    int64_t high             # largest legal value

cdef enum:                   # verdict: what apply does with one relocation
    V_APPLY = 0              # compute the formula and store it
    V_SKIP = 1               # nothing: partner of a relaxed sequence, or no effect
    V_RELATIVE = 2           # store S + A, and a relative dynamic relocation (relr or dynrels, by nrelative)
    V_RELATIVE_ODD = 3       # the same at an address that RELR cannot name: in dynrels, by ndynamic
    V_SYMBOLIC = 4           # a dynamic relocation against the symbol (ndynamic)
    V_IRELATIVE = 5          # word that holds the address of an IFUNC (ndynamic)
    V_DYNAMIC_TPOFF = 6      # word that holds a TP offset, known to the run-time linker only (ndynamic)
    V_TPOFF = 7              # DTPOFF that counts from TP because its LD sequence became LE
    V_ZERO = 8               # store 0: the target is in a section that was dropped
    V_DIRECT = 9             # L of a symbol that needs no PLT entry: S, without looking for one
    V_THUNK = 10             # a branch that goes to a thunk (Columns.thunk_refs)
    V_DYNAMIC_TPOFF_DOWN = 11 # the same for an offset that counts downwards
    V_PCREL = 12             # an absolute address in .eh_frame that is written as a distance from its field
    V_ARCH = 16              # V_ARCH + n: Ops.apply_relaxed

cdef enum:                   # what scan asks of Ops.choose_relaxation
    RELAX_GOT_ADDRESS = 1    # G is a symbol of this image: load of the slot -> address, PC-relative
    RELAX_GOT_SMALL = 2      # the same, and the address is known to fit 31 bits: immediates are legal too
    RELAX_GOT_NUMBER = 3     # G is a number, known to fit 31 bits, with sign: only immediates are legal
    RELAX_GD_IE = 4
    RELAX_GD_LE = 5
    RELAX_LD_LE = 6
    RELAX_IE_LE = 7
    RELAX_DESC_IE = 8
    RELAX_DESC_LE = 9
    RELAX_SLOT = 10          # no relaxation: the slot stays, but the instruction may want another form of its
                             # address than the formula says. V_SKIP: it cannot have it in this output
    RELAX_TPOFF = 11         # no relaxation: a TP offset, of which a verdict other than 0 says that it counts downwards
    RELAX_WEAK = 12          # Q_S, Q_L: the symbol is undefined weak and 0; how a distance to it is written
    RELAX_DESC = 14          # no relaxation: the descriptor stays; how it and the call through it are written
    RELAX_FORM = 13          # Q_S, Q_L that apply will compute: the target writes them in a way of its own
    RELAX_CALL = 15          # Q_SLOT: the symbol is here, so that a call need not read its slot
    RELAX_HINT = 16          # Q_HINT of a symbol of this image: the call may become a branch

cdef enum:                   # PltStyle.push_offset
    PUSH_HEADER = 0xffffffff # the unresolved slot holds the address of the header

cdef struct Place:           # one relocation being applied; what formulas and arch code read
    Columns* c               # the tables
    const Ops* ops           # the target
    const Fragment* frag     # fragment that holds the relocation
    uint32_t frag_id         # its id
    uint32_t index           # index of the relocation in frag.relocs
    uint8_t* loc             # output byte of the field
    uint64_t P               # address of the field
    uint64_t next_relative   # where its next relative dynamic relocation goes; starts at frag.nrelative
    uint64_t next_dynamic    # where its next other dynamic relocation goes; starts at frag.ndynamic

cdef struct PltEntry:        # what a PLT writer needs
    uint64_t address         # of the entry
    uint64_t slot            # address of its GOT slot
    uint64_t header          # address of the PLT header
    uint64_t gotplt          # address of .got.plt (of the GOT's reserved words)
    uint64_t got             # GOT: what the PIC register points to
    uint32_t index           # of its relocation in .rela.plt
    uint32_t swap            # 1 when the output's byte order is not the host's

cdef struct Branch:          # one branch while it is looked at whether it needs a thunk; addresses are provisional
    const File* f            # the file that it stands in
    const uint8_t* insn      # its bytes in the input
    int64_t bias             # what P-relative addends add to every destination (Ops.branch_verdict), else 0
    const Rela* r            # its relocation
    const RelocType* t       # its type
    uint64_t P               # address of the field
    uint64_t target          # address that it goes to, addend included
    const uint8_t* code      # 4 bytes or more that stand there in the input; NULL: none known
    uint32_t plt             # 1: a PLT entry

cdef struct CodeSpan:        # code without literal data in it, where errata are looked for
    const Columns* c         # the tables
    const uint64_t* outputs  # provisional address of each output section, by number
    const uint8_t* code      # bytes of the fragment in the input
    uint64_t address         # provisional address of the fragment
    uint32_t frag            # the fragment
    uint32_t letter          # of the mapping symbol

cdef enum:
    THUNK_KINDS = 64         # kinds of thunks that a target may have, 0 for none
    CODE_MARKS = 4           # mapping symbols of one piece of code

cdef struct CodeMark:        # a mapping symbol of code that the linker makes
    uint16_t offset          # bytes from the start of the code
    uint16_t letter          # of $a, $t, $d, $x; 0: no more

cdef struct ThunkName:       # the symbol of a thunk: prefix + name of where it leads + suffix
    const char* prefix       # NULL: it has no symbol
    const char* suffix       # NULL: the prefix is all
    uint64_t bits            # or'ed to its address

ctypedef void (*plt_writer_t)(uint8_t* out, const PltEntry* entry) noexcept nogil

cdef struct PltStyle:        # one way to write PLTs; sizes in bytes
    uint32_t header_size     # of the header in front of the lazy entries
    uint32_t entry_size      # of an entry in the section that calls use (.plt, or .plt.sec when split)
    uint32_t lazy_size       # of a lazy half; 0 when entries are not split (IBT splits them)
    uint32_t got_size        # of an entry that only jumps through its slot (.plt.got, IFUNCs)
    uint32_t lazy_limit      # lazy halves from this one on
    uint32_t lazy_more       # are so many bytes longer; 0: all are alike
    uint32_t push_offset     # the unresolved slot holds the address of its lazy code: entry (or lazy half) + this
    uint32_t align           # of the sections
    uint32_t canonical_size  # of what a canonical PLT entry has in front of the code that calls use; 0: nothing
    uint32_t skip            # Aux.plt, what calls use, is this far into an entry (ARM: behind its entry for Thumb code)
    plt_writer_t header      # writes the header
    plt_writer_t entry       # writes an entry
    plt_writer_t lazy        # writes a lazy half; NULL when not split
    plt_writer_t got         # writes an entry without lazy part
    plt_writer_t canonical   # writes the canonical_size bytes; NULL when there are none
    CodeMark header_marks[CODE_MARKS] # mapping symbols of the header; of each PLT section when entries have none
    CodeMark entry_marks[CODE_MARKS]  # of each entry, also of one without lazy part

cdef struct Ops:
    RelocType* types         # [ntypes], by relocation number
    uint32_t ntypes          # highest known number + 1
    uint32_t word_size       # bytes of a GOT slot: 4 or 8 (8 on x32 too, whose addresses have 4)
    uint32_t got_header      # words reserved at the start of .got.plt
    uint32_t got_reserved    # words reserved at the start of .got; the first then has the address of .dynamic
    uint32_t got_first_gp    # 1: the first reserved word of .got has Image.gp instead
    uint32_t slot_size       # bytes of a PLT's slot; 0: word_size
    uint32_t gotplt_is_plt   # 1: .got.plt belongs to the PLT alone, and is empty without entries
    uint32_t weak_words      # 1: words of programs with an undefined weak symbol ask the run-time linker
    uint32_t no_plt_got      # 1: a called symbol with a GOT slot has an ordinary PLT entry all the same
    uint32_t own_got         # 1: the target lays out .got itself; Aux has no offsets in it
    uint32_t eh_pcrel        # 1: absolute addresses of an .eh_frame that may move become PC-relative, as does its CIE
    uint32_t plt_other       # st_other bits of an imported symbol whose address is its PLT entry
    uint32_t tlsdesc_size    # bytes of a TLS descriptor; of a slot with a DTP offset
    uint32_t code_bits       # bits of a function symbol's value that are no part of its address
    uint32_t desc_argument   # byte offset in it of the word that has the addend in REL outputs
    uint32_t pair_relocated  # 1: in shared objects the run-time linker sets both words of every module/offset pair
    uint32_t dyn_symbolic    # dynamic relocation numbers: S + A in a word
    uint32_t dyn_relative    # load address + addend, in a word
    uint32_t dyn_glob_dat    # S into a GOT slot
    uint32_t dyn_jump_slot   # S into a PLT's slot, perhaps lazily
    uint32_t dyn_copy        # copies the library's data to the executable's
    uint32_t dyn_irelative   # what the resolver at load address + addend returns
    uint32_t dyn_jump_irelative # the same for the slot of a PLT entry; 0: dyn_irelative
    uint32_t dyn_dtpmod      # module number of a thread-local symbol
    uint32_t dyn_dtpoff      # its offset in the module's TLS block
    uint32_t dyn_tpoff       # its offset from the thread pointer
    uint32_t dyn_tpoff_down  # TP offset counted downwards (i386's TPOFF32), for Q_G of a TLS symbol; 0 none
    uint32_t dyn_tlsdesc     # its TLS descriptor
    PltStyle plt             # the style in force, one of `styles`
    PltStyle styles[6]       # by number: 0 the usual one, others by target (amd64: 1 = IBT)
    # Scan: may relocation `index` of `frag` be relaxed as `wish` (RELAX_*) says? Returns a verdict >= V_ARCH,
    # or 0; `skip` receives how many of the relocations behind it become V_SKIP. Checks the bytes it
    # would rewrite against the fragment's bounds; a wish that it does not know gets 0. NULL: the target relaxes nothing.
    uint8_t (*choose_relaxation)(const Columns* c, const Fragment* frag, uint32_t index, uint32_t wish,
                                 uint32_t* skip) noexcept nogil
    # Scan: asked once for a fragment before its first load from the GOT is relaxed; False leaves them all as they
    # are. NULL: each load stands for itself.
    bint (*may_relax_got)(const Columns* c, const Fragment* frag) noexcept nogil
    # Address fixed point: the kind of thunk, 1.., that a branch needs, 0 for none. `landing` receives the kind of a
    # second thunk, near the target, that the first one has to go through, or 0. NULL: the target has none.
    uint32_t (*choose_thunk)(const Columns* c, const Branch* b, uint32_t* landing) noexcept nogil
    # Writes the thunk of a kind at `address`; `target` is where it leads. `c` and `thunk` tell targets the rest.
    void (*write_thunk)(uint8_t* out, uint32_t kind, uint64_t address, uint64_t target, bint swap, Columns* c,
                        const Thunk* thunk) noexcept nogil
    # Address fixed point: the code that a branch to byte `value` of a fragment really goes to (function descriptors);
    # changes both. NULL: that byte itself.
    void (*find_code)(const Columns* c, uint32_t* frag, uint64_t* value) noexcept nogil
    # The symbol of a thunk; addresses are final. NULL: thunks have none.
    void (*name_thunk)(const Columns* c, const Thunk* t, ThunkName* name) noexcept nogil
    # Errata, in the address fixed point: the kind of veneer that the first bad sequence at or behind byte `at` of the
    # code [0, end) of `span` needs, 0 for none. `site` receives the offset of the instruction that moves into the
    # veneer, `next` where to go on. NULL: the target has none.
    uint32_t (*find_patch)(const CodeSpan* span, uint64_t at, uint64_t end, uint64_t* site,
                           uint64_t* next) noexcept nogil
    # Moves the relocated instruction at `site` into the veneer at `out` and joins the two.
    void (*write_patch)(uint8_t* out, uint32_t kind, uint64_t address, uint8_t* site, uint64_t site_address,
                        bint swap) noexcept nogil
    uint64_t patch_reach     # bytes between an instruction and its veneer at most
    uint32_t thunk_sizes[THUNK_KINDS] # bytes of each kind
    CodeMark thunk_marks[THUNK_KINDS][CODE_MARKS] # mapping symbols of each kind
    uint64_t free_thunks     # bit n: thunks of kind n do not depend on where the branch goes, one serves all
    const char* mark_letters # of mapping symbols, data included; NULL: the target has none
    uint64_t thunk_spacing   # bytes of code between two places for thunks: less than the shortest reach
    uint32_t thunk_align     # log2 of their alignment
    uint32_t thunk_page      # log2 of what places grow by, where the offset of code in its page matters
    uint8_t branch_verdict   # verdict of branches that apply_relaxed writes, their addend the bias of PC; 0: none
    uint8_t thunk_verdict    # what it becomes when the branch goes to a thunk; else V_THUNK
    uint32_t arch_flags      # the target's own
    # Apply: writes what a verdict >= V_ARCH stands for.
    void (*apply_relaxed)(Place* place, uint8_t verdict) noexcept nogil
    # --emit-relocs: the relocation that describes what apply_relaxed left at the place of `r`; offsets and
    # addends change with the instruction. Type 0 when nothing is left to say.
    void (*describe_relaxed)(const Rela* r, uint8_t verdict, Rela* out) noexcept nogil
    # Fills code with instructions that do nothing.
    void (*fill_code)(uint8_t* out, uint64_t size) noexcept nogil
    # FIELD_ARCH + n: puts `value`, already checked, into the instruction at `out`.
    void (*write_field[FIELD_ARCH_COUNT])(uint8_t* out, int64_t value, bint swap) noexcept nogil
    # FIELD_ARCH + n: the addend that the instruction at `p` holds (REL inputs), in the unit of the formula; the
    # inverse of write_field. NULL: 0.
    int64_t (*read_field[FIELD_ARCH_COUNT])(const uint8_t* p, bint swap) noexcept nogil
    # Called once a section for relocations of another form than the canonical one of ops.types: several records
    # for one field become one record, and the others Q_NONE types. NULL: each record stands for itself, and those
    # of little-endian ELF64 RELA inputs are used in place.
    void (*join_records)(const File* f, Rela* relocs, uint32_t count) noexcept nogil
    # The inverse for relocation sections of the output: the type field of the record of a relocation. NULL: its type.
    uint32_t (*record_type)(const Columns* c, uint32_t type) noexcept nogil
    # REL inputs: called once a section when each relocation has the addend of its own field, for addends that
    # are split over several (HI16/LO16). NULL: there are none.
    void (*join_addends)(const Columns* c, const Fragment* frag, Rela* relocs, uint32_t count) noexcept nogil
    # REL outputs of -r: the type as whose field the addend of `r` is stored. NULL: its own.
    uint32_t (*addend_type)(const File* f, const Rela* r) noexcept nogil


cdef class OpsTable:
    """Owner of a target's Ops, built from its Python rows (see ops.pyx)."""
    cdef Ops ops             # the table
