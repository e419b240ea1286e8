# cython: language_level=3
"""Level 1: every table of a link, as rows and columns in one C struct.

`Columns` is what nogil code receives; the class `Tables` owns it, grows it between parallel regions and
frees it. Id 0 means "none" in every table. Ids are stable, pointers into growing arrays are not: no
pointer to a File, Fragment or Global row may live across a call that can add rows.

Numbering
  file id       order of opening. File 1 is the linker itself (sections it makes).
  fragment id   File.frag_base + section index for input sections of live files; file 1 has base 0, so
                its fragment ids are its section indices. Commons, copies and thunks are appended
                behind the last input section ("extra" fragments).
  gid           row of a distinct global name: partition + index * PARTITIONS, so not dense; rows
                with name == NULL are unused.
  flat relocation ids do not exist: a relocation is (fragment, index), in place in the input.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t
from mclink._core.elf cimport Shdr, Sym, Rela, SHT_GROUP
from mclink._core.fault cimport Faults

cdef enum:
    PARTITION_BITS = 6
    PARTITIONS = 64          # of the name table; fixed, so that gids do not depend on threads
    INTERNAL_FILE = 1        # the linker's own file

cdef enum:                   # File.kind
    FILE_NONE = 0            # not an input for the graph (script, archive shell)
    FILE_OBJECT = 1          # relocatable object, archive members and wrapped binary data included
    FILE_SHARED = 2          # shared object
    FILE_JUST_SYMBOLS = 3    # --just-symbols: absolute symbols only
    FILE_INTERNAL = 4        # file 1

cdef enum:                   # File.state, only ever raised
    FILE_MAPPED = 0          # bytes are mapped, nothing read
    FILE_PARSED = 1          # headers and symbol table checked, global names joined (gids valid)
    FILE_LIVE = 2            # part of the link; has fragments
    FILE_BAD = 3             # an error has been recorded

cdef enum:                   # File.flags
    FILE_AS_NEEDED = 1       # DSO named under --as-needed
    FILE_NEEDED = 2          # DSO gets a DT_NEEDED
    FILE_EXCLUDE_LIBS = 4    # --exclude-libs hides its definitions
    FILE_ELF32 = 8           # input is ELFCLASS32
    FILE_SWAP = 16           # input's byte order is not the host's (little-endian)
    FILE_REL = 32            # has SHT_REL sections: relocations are converted copies
    FILE_HAS_AT = 64         # some global name contains '@' (.symver)
    FILE_LTO = 128           # holds compiler IR; FILE_BAD when it holds no machine code
    FILE_EXECSTACK = 256     # asks for, or by absence implies, an executable stack
    FILE_NO_STACK_NOTE = 512 # has no .note.GNU-stack
    FILE_INDIRECT = 1024     # DSO opened only to follow another DSO's DT_NEEDED
    FILE_IN_GROUP = 2048     # inside --start-group
    FILE_COMPRESSED = 4096   # has SHF_COMPRESSED or .zdebug sections
    FILE_DUPLICATE = 8192    # DSO with the soname of an earlier one
    FILE_KEEP_IR = 16384     # -r: its compiler IR is linked like any contents

cdef struct File:            # an object, archive member or shared object
    const uint8_t* data      # first byte of the ELF image, in a mapping or an owned buffer
    uint64_t size            # bytes of the image
    const char* name         # path, or member name; not NUL-terminated
    uint32_t name_len        # bytes of name
    uint32_t archive         # file id of the archive shell that holds it, 0 for none
    uint64_t archive_offset  # offset of the member's header in the archive
    uint8_t kind             # FILE_OBJECT ...
    uint8_t state            # FILE_MAPPED ...
    uint16_t machine         # e_machine
    uint32_t flags           # FILE_AS_NEEDED ...
    uint32_t e_flags         # e_flags of the header
    uint8_t osabi            # EI_OSABI
    uint8_t abi_version      # EI_ABIVERSION
    uint16_t e_type          # ET_*
    uint32_t order           # rank among the live files in link order, from 1; 0 while not live
    uint32_t frag_base       # fragment id of section 0; 0 while not live
    Shdr* shdrs              # [shnum] canonical headers: the mapping itself or an owned copy
    uint32_t shnum           # number of sections, extended numbering resolved
    uint32_t nsyms           # symbols in syms; 0 when there is no table
    const char* shstrtab     # section-name strings, ends with NUL; never NULL once parsed
    uint64_t shstrtab_size   # bytes of shstrtab
    Sym* syms                # [nsyms] canonical symbols: mapping or owned copy (.dynsym for a DSO)
    const char* strtab       # symbol-name strings, ends with NUL; never NULL once parsed
    uint64_t strtab_size     # bytes of strtab
    const uint32_t* symtab_shndx # [nsyms] extended section indices (host order) or NULL
    uint32_t first_global    # index of the first non-local symbol (sh_info)
    uint32_t symtab_index    # section index of the symbol table
    uint32_t* gids           # [nsyms - first_global] gid of each global symbol; owned
    uint64_t* hashes         # [nsyms - first_global] name hashes while joining, else NULL
    uint32_t* groups         # [ngroups] section indices of the SHT_GROUP and .gnu.linkonce sections; owned
    uint32_t* group_gids     # [ngroups] gid of each signature, 0 for a non-COMDAT group; owned
    uint32_t ngroups         # number of groups
    uint32_t stack_flags     # sh_flags of .note.GNU-stack
    const uint16_t* versyms  # DSO: [nsyms] version indices (host order) or NULL
    uint8_t* local_needs     # [first_global] needs bits of local symbols; NULL until one needs something
    uint32_t* local_aux      # [first_global] aux row of local symbols; NULL when no local needs one
    uint64_t gp_shift        # what GP of this file is beyond Image.gp: several TOCs or GOTs
    uint32_t toc             # its TOC, 0 the first
    int32_t tlsld            # byte offset in .got of the TLS LD pair of its TOC, when that is not the first
    uint32_t first_eh        # first row of EhInput of this file, 0 for none
    uint32_t n_eh            # number of EhInput rows
    uint8_t* verdicts        # arena of its fragments' verdicts; freed with the file
    uint32_t why_gid         # archive member: the name that made it live, 0 when it was not extracted
    uint32_t why_file        # archive member: a file that referred to that name, 0 for the command line
    void* owned              # buffer freed with the file (converted headers, decompressed data), or NULL

cdef enum:                   # Fragment.kind
    FRAG_NONE = 0            # not part of the image: tables of the input, group sections, dead ends
    FRAG_REGULAR = 1         # bytes copied from the input and relocated
    FRAG_NOBITS = 2          # no bytes: .bss
    FRAG_MERGE = 3           # mergeable input; its pieces live in the carrier of its MergeGroup
    FRAG_EHFRAME = 4         # .eh_frame input, written record by record
    FRAG_SYNTHETIC = 5       # made by the linker (file 1), written by its own writer
    FRAG_COMMON = 6          # storage of one common symbol
    FRAG_THUNK = 7           # range-extension thunks, veneers

cdef enum:                   # Fragment.rule of sections that no statement takes, until they have a rule of their own
    ALONE_RULE = 0xfffffffe  # shares it with no other section
    NO_RULE = 0xffffffff     # shares it with sections of the same name and kind

cdef enum:                   # bits of the frag_state column
    STATE_LIVE = 1           # part of the output
    STATE_DISCARDED = 2      # member of a COMDAT group or linkonce section that lost
    STATE_KEEP = 4           # root of --gc-sections (KEEP, SHF_GNU_RETAIN, init arrays, notes)
    STATE_REFERENCED = 8     # some live relocation refers to it (used by --gc-sections and reports)
    STATE_SCRIPT_DISCARD = 16 # matched /DISCARD/
    STATE_FOLDED = 32        # ICF: another fragment stands for it (Fragment.link)
    STATE_NO_SCAN = 64       # relocations are applied but make no GOT/PLT/dynamic entries (non-alloc)
    STATE_REPORTED = 128     # an error about it has been printed

cdef struct Fragment:        # 72 bytes; an input section or a piece of image made by the linker
    const uint8_t* data      # contents (mapping or owned copy); NULL without bytes
    uint64_t size            # bytes in the output; passes that own the kind may change it before layout
    const Rela* relocs       # [nrelocs] canonical relocations, in input order; NULL if none
    uint8_t* verdicts        # [nrelocs] written by scan, obeyed by apply; NULL: all APPLY
    uint32_t nrelocs         # number of relocations
    uint32_t file            # file id
    uint32_t sh_type         # SHT_* of the input
    uint32_t sh_flags        # low 32 bits of sh_flags of the input
    uint32_t rule            # row of the run (input statement) that took it; 0 = in no output section
    uint32_t link            # MERGE: MergeInput row; EHFRAME: EhInput row; LINK_ORDER: fragment it follows; FOLDED: leader
    uint32_t entsize         # sh_entsize of the input, saturated
    uint32_t output          # 1-based number of the output section (Link.outputs[output - 1]); 0 none
    uint8_t align_log2       # log2 of the alignment
    uint8_t kind             # FRAG_REGULAR ...
    uint16_t reloc_shndx     # low bits of the relocation section's index (diagnostics only)
    uint32_t nrelative       # relative dynamic relocations it needs (scan); then index of its first one
    uint32_t ndynamic        # other dynamic relocations it needs (scan); then index of its first one

cdef enum:                   # Global.state: how the name stands after the walk so far
    SYM_UNSEEN = 0           # interned (archive index, version script) but not referenced by a live file
    SYM_UNDEF = 1            # referenced, not defined
    SYM_UNDEF_WEAK = 2       # referenced only by weak undefined symbols
    SYM_DEFINED = 3          # defined in a live object (or by the linker)
    SYM_DEFINED_WEAK = 4     # weak definition in a live object
    SYM_COMMON = 5           # common symbol of a live object
    SYM_SHARED = 6           # defined by a shared object

cdef enum:                   # bits of the gflags column
    G_KIND_MASK = 7          # one of the next four
    G_LOCAL = 0              # defined here, binds here; address relative to the image
    G_ABSOLUTE = 1           # a number: absolute, or an undefined weak that is zero
    G_IMPORT_DATA = 2        # bound at run time, not a function
    G_IMPORT_FUNC = 3        # bound at run time, a function
    G_IFUNC = 8              # STT_GNU_IFUNC defined in this link and not preemptible
    G_TLS = 16               # STT_TLS
    G_EXPORT = 32            # defined here and visible in .dynsym
    G_UNDEF_WEAK = 64        # undefined weak
    G_FORCED_LOCAL = 128     # made local by visibility, version script or --exclude-libs
    G_REF_REGULAR = 256      # referenced by a live object
    G_REF_DYNAMIC = 512      # referenced by a shared object
    G_DEF_REGULAR = 1024     # defined by a live object or the linker
    G_DEF_DYNAMIC = 2048     # defined by some shared object
    G_REF_STRONG = 4096      # referenced by a non-weak undefined symbol of a live object
    G_LINKER = 8192          # defined by the linker: value is set by layout
    G_KEEP = 16384           # --undefined, entry, --require-defined, export: root of --gc-sections
    G_TRACE = 32768          # --trace-symbol
    G_WRAP = 65536           # redirected by --wrap
    G_UNDEFINED = 131072     # unresolved: scan reports each reference
    G_FUNC = 262144          # STT_FUNC or IFUNC, by the winning definition
    G_DYNAMIC_LIST = 524288  # preemptible by --dynamic-list
    G_COPIED = 1048576       # has a copy relocation: frag/value name the copy
    G_CANONICAL_PLT = 2097152 # its address is its PLT entry
    G_PROVIDE = 4194304      # definition comes from PROVIDE
    G_SCRIPT = 8388608       # defined by the linker script or --defsym
    G_DISCARDED = 16777216   # its definition was in a discarded section (for the error message)
    G_NOT_PREEMPTIBLE = 33554432 # a later pass decided that it binds here (protected, -Bsymbolic, executable)

cdef struct Global:          # 64 bytes: one distinct global name
    const char* name         # in a string table; not NUL-terminated when cut at '@'
    uint64_t value           # defined: offset in frag, or absolute value; common: alignment; shared: address in the DSO
    uint64_t size            # st_size of the winning definition; of a common, the largest seen
    uint32_t name_len        # bytes of name
    uint32_t file            # file of the winning definition; while undefined, the first file that refers; 0 none
    uint32_t sym             # its symbol index in that file; of a G_LINKER or G_SCRIPT name, the number of its output section (0: absolute)
    uint32_t frag            # fragment of the definition; 0 for absolute, shared, undefined, and names whose `value` layout sets as an address
    uint32_t aux             # row of Aux, 0 for none
    uint32_t hash32          # low half of the 64-bit name hash
    uint16_t version         # output version index (VER_NDX_*), VERSYM_HIDDEN allowed; DSO symbol: its versym there
    uint8_t state            # SYM_UNDEF ...
    uint8_t type             # STT_* of the winning definition (of the reference while undefined)
    uint8_t bind             # STB_* to emit
    uint8_t visibility       # most constraining STV_* over all live objects
    uint8_t other            # ABI bits of st_other of the winning definition
    uint8_t spare            # zero
    uint32_t group_file      # file that owns the COMDAT group of this signature, 0 none

cdef enum:                   # bits of the needs columns (gneeds, File.local_needs), set by scan
    NEED_GOT = 1             # a GOT slot with the address
    NEED_PLT = 2             # a PLT entry
    NEED_COPY = 4            # a copy relocation
    NEED_TLSGD = 8           # a module/offset pair
    NEED_GOTTP = 16          # a GOT slot with the TP offset
    NEED_TLSDESC = 32        # a TLS descriptor
    NEED_CANONICAL_PLT = 64  # a PLT entry that is the symbol's address
    NEED_DYNSYM = 128        # a .dynsym entry (symbolic dynamic relocation)
    NEED_LATE_DYNSYM = 0x10000 # Aux only: its .dynsym entry stands behind those without this bit and the next ...
    NEED_LAST_DYNSYM = 0x20000 # ... and this one behind all others

cdef enum:
    AUX_MODULE_PAIR = 256    # in Aux.needs: tlsgd is the TLS LD pair of the row's TOC; the row has no symbol

cdef struct Aux:             # a symbol with linker-made entries or a .dynsym entry
    uint32_t gid             # global, or 0 for a local symbol
    uint32_t file            # file of a local symbol
    uint32_t sym             # symbol index of a local symbol
    uint32_t needs           # NEED_* bits
    int32_t got              # byte offset of its slot in .got, -1 none
    int32_t gotplt           # byte offset of its slot in .got.plt (or .igot.plt), -1 none
    int32_t plt              # byte offset of its entry in plt_section, -1 none
    int32_t plt_section      # SPECIAL_PLT, SPECIAL_PLT_GOT, SPECIAL_IPLT; the entry that calls use
    int32_t plt_lazy         # byte offset of its lazy half when that is another section (IBT), -1 none
    int32_t tlsgd            # byte offset in .got of the pair, -1 none
    int32_t gottp            # byte offset in .got of the TP offset, -1 none
    int32_t tlsdesc          # byte offset in .got of the descriptor, -1 none
    uint32_t dynsym          # index in .dynsym, 0 none
    uint32_t dynstr          # offset of the name in .dynstr
    uint32_t reladyn         # first index of its own relocations in .rela.dyn (GOT, TLS, copy)
    uint32_t relaplt         # index of its relocation in .rela.plt
    uint32_t toc             # the TOC that `got` and the slots behind it belong to (File.toc)
    uint32_t more            # row of the same symbol with slots for another TOC, 0 none

cdef enum:                   # fragments of file 1 that C code must find: Columns.special[...]
    SPECIAL_NONE = 0
    SPECIAL_GOT = 1          # .got
    SPECIAL_GOT_PLT = 2      # .got.plt
    SPECIAL_PLT = 3          # .plt (the part that calls use, .plt.sec under IBT)
    SPECIAL_PLT_GOT = 4      # .plt.got: entries that jump through .got
    SPECIAL_IPLT = 5         # PLT entries of IFUNCs
    SPECIAL_IGOT_PLT = 6     # GOT slots of IFUNCs
    SPECIAL_RELA_DYN = 7     # .rela.dyn
    SPECIAL_RELA_PLT = 8     # .rela.plt
    SPECIAL_RELA_IPLT = 9    # IRELATIVE relocations
    SPECIAL_RELR_DYN = 10    # .relr.dyn
    SPECIAL_DYNSYM = 11      # .dynsym
    SPECIAL_DYNSTR = 12      # .dynstr
    SPECIAL_DYNAMIC = 13     # .dynamic
    SPECIAL_HASH = 14        # .hash
    SPECIAL_GNU_HASH = 15    # .gnu.hash
    SPECIAL_VERSYM = 16      # .gnu.version
    SPECIAL_VERNEED = 17     # .gnu.version_r
    SPECIAL_VERDEF = 18      # .gnu.version_d
    SPECIAL_INTERP = 19      # .interp
    SPECIAL_EH_FRAME_HDR = 20 # .eh_frame_hdr
    SPECIAL_DYNBSS = 21      # .dynbss: copies of writable data
    SPECIAL_DYNRELRO = 22    # .data.rel.ro copies of read-only data
    SPECIAL_BUILD_ID = 23    # .note.gnu.build-id
    SPECIAL_PROPERTY = 24    # .note.gnu.property
    SPECIAL_PLT_LAZY = 25    # .plt under IBT: the lazy halves
    SPECIAL_PLT_EH = 26      # .eh_frame of the PLT
    SPECIAL_ARCH0 = 32       # 32..47 belong to the target's module
    SPECIAL_COUNT = 48

cdef struct MergeGroup:      # all mergeable inputs that share pieces: one output run, flags, entsize, alignment
    uint32_t carrier         # fragment that holds the merged bytes: the first live member; its size is the total
    uint32_t entsize         # bytes of a character or constant
    uint32_t strings         # 1 for NUL-terminated strings, 0 for constants
    uint32_t align_log2      # alignment of every piece
    uint64_t size            # bytes of the merged contents
    uint64_t count           # rows of state
    void* state              # malloc'ed rows of merge.pyx: the distinct pieces

cdef struct MergeInput:      # one mergeable input section
    uint32_t frag            # its fragment
    uint32_t group           # its MergeGroup row
    uint64_t first_piece     # index of its first piece in the piece columns
    uint64_t npieces         # number of pieces

cdef struct Cie:             # a CIE of an input .eh_frame
    uint32_t eh              # EhInput row
    uint32_t offset          # byte offset in its input section
    uint32_t size            # bytes, length word included
    uint32_t first_reloc     # index of its first relocation in the fragment
    uint32_t nrelocs         # relocations inside it
    uint32_t leader          # row of the equal Cie that is written; itself when it is the leader
    uint32_t out             # byte offset from the address of the leader's fragment
    uint8_t live             # 1 when some live FDE uses it
    uint8_t fde_encoding     # DW_EH_PE_* of the addresses in its FDEs
    uint8_t lsda_encoding    # DW_EH_PE_* of the LSDA pointer, 0xff none
    uint16_t fde_at          # byte offset of fde_encoding in the record, 0: it says nothing
    uint16_t lsda_at         # the same of lsda_encoding
    uint16_t personality_at  # the same of the encoding of the personality routine's address

cdef struct Fde:             # an FDE of an input .eh_frame
    uint32_t cie             # Cie row
    uint32_t offset          # byte offset in its input section
    uint32_t size            # bytes, length word included
    uint32_t first_reloc     # index of its first relocation in the fragment
    uint32_t nrelocs         # relocations inside it
    uint32_t target          # fragment of the function it describes, 0 none
    uint32_t out             # byte offset from the address of its fragment, EH_DROPPED when not written
    uint32_t eh              # EhInput row

cdef enum:                   # EhInput.flags
    EH_WHOLE = 1             # not understood: an ordinary FRAG_REGULAR section without rows
    EH_NO_TABLE = 2          # its FDEs cannot be listed in .eh_frame_hdr
    EH_TERMINATED = 4        # the input ends with a zero length word
    EH_TERMINATES = 8        # the output's zero length word stands at its end
    EH_PCREL = 16            # read-only, and every CIE says how its addresses are encoded: they may become PC-relative

cdef enum:
    EH_DROPPED = 0xffffffff  # Fde.out of an FDE that is not written

cdef struct EhInput:         # one input .eh_frame section
    uint32_t frag            # its fragment
    uint32_t flags           # EH_WHOLE ...
    uint32_t first_cie       # first Cie row
    uint32_t ncies           # its CIEs
    uint32_t first_fde       # first Fde row
    uint32_t nfdes           # its FDEs, sorted by offset
    uint32_t live_fdes       # FDEs whose function is live
    uint32_t first_hdr       # index of its first entry in .eh_frame_hdr

cdef struct Image:           # addresses that formulas need, set when layout is final
    uint64_t got             # GOT: value of _GLOBAL_OFFSET_TABLE_ or what the psABI calls GOT
    uint64_t tls_start       # address of the PT_TLS segment
    uint64_t tls_end         # its end, aligned to its alignment
    uint64_t tp              # address that TP-relative offsets count from (set by target rule)
    uint64_t dtp             # address that DTP-relative offsets count from
    uint64_t dynamic         # address of .dynamic, 0 none
    uint64_t base            # image base (__ehdr_start)
    int32_t tlsld            # byte offset in .got of the module's TLS LD pair, -1 none
    int32_t tlsdesc_got      # byte offset in .got of the lazy TLSDESC slot, -1 none
    uint64_t gp              # MIPS _gp, PPC64 .TOC.
    uint64_t dead            # tombstone for references from debug sections to dead code

cdef struct Archive:         # an archive: its symbol index, joined with the global names
    uint32_t file            # file id of the shell (the archive itself)
    uint32_t first_member    # file id of the first member known
    uint32_t nmembers        # members known: those in the index, or all after list_members
    uint32_t nentries        # entries of the index
    uint32_t* entry_gid      # [nentries] gid of each indexed name; owned
    uint32_t* entry_member   # [nentries] file id of the member that defines it; owned
    const char** entry_name  # [nentries] NUL-terminated name in the mapping; NULL once joined; owned
    uint64_t* entry_hash     # [nentries] name hash while joining; owned
    const char* long_names   # GNU "//" table or NULL
    uint64_t long_names_size # bytes of long_names
    uint8_t thin             # 1 for "!<thin>"
    uint8_t has_index        # 1 when a symbol index was found
    uint8_t all_members      # 1 when every member has a File row
    uint8_t joined           # 1 when entry_gid is valid

cdef enum:                   # bits of the gmark column, valid only within the pass that owns them
    MARK_WANTED = 1          # walk_inputs: some parsed object refers to it and does not define it
    MARK_HAVE = 2            # walk_inputs: some parsed object defines it
    MARK_UNDEF = 4           # walk_inputs: now strongly undefined
    MARK_COMMON = 8          # walk_inputs: now common

cdef struct AtSymbol:        # a global symbol whose name carries a version: foo@V or foo@@V
    uint32_t gid             # its name: "foo@V", or "foo" for foo@@V
    uint32_t file            # file that has the symbol
    uint32_t sym             # symbol index there
    uint32_t length          # bytes of the name before the first '@'

cdef struct Partition:       # open-addressing table of one 64th of the names
    uint64_t* slots          # [mask + 1] tag << 32 | (index + 1); 0 free
    uint32_t mask            # slots - 1, a power of two minus one
    uint32_t count           # names in it

cdef enum:
    THUNK_PATCH = 2          # Thunk.plt of a veneer: it holds the instruction at offset `addend` of fragment `file`

cdef struct Thunk:           # code that stands between a branch and what it cannot reach by itself
    uint32_t frag            # FRAG_THUNK fragment that holds it
    uint32_t offset          # byte offset in it
    uint32_t kind            # the target's own number of its form
    uint32_t via             # Thunk row that it leads to, 0: to the symbol
    uint32_t file            # file whose relocation asked for it: sym is one of its symbols
    uint32_t sym             # symbol that it leads to
    uint32_t gid             # the same, when it is global; else 0
    uint32_t next            # next row with the same hash of its destination, 0 none
    int64_t addend           # added to the symbol's address
    uint8_t plt              # 1: to the symbol's PLT entry; THUNK_PATCH
    uint8_t pad[7]           # zero

cdef struct ThunkRef:        # which thunk a relocation with the verdict V_THUNK goes to
    uint64_t key             # fragment << 32 | index of the relocation; 0 free
    uint32_t thunk           # Thunk row
    uint32_t pad             # zero

cdef struct Output:          # an output section, by Fragment.output; made when header indices are known
    uint64_t address         # of its first byte, 0 in a relocatable file
    uint32_t index           # section header index
    uint32_t relocs          # section header index of its relocation section, 0 none

cdef struct Plain:           # -r: an output section that nothing but its members says anything about; 64 bytes
    const uint32_t* members  # [count] its fragments in order
    uint32_t count           # how many
    uint32_t name            # where the name of its relocation section stands, which its own name ends
    uint64_t size            # bytes
    uint64_t offset          # file offset of its contents
    uint64_t records         # file offset of its relocations
    uint32_t nrelocs         # number of relocations
    uint32_t type            # sh_type
    uint32_t flags           # sh_flags
    uint32_t entsize         # sh_entsize
    uint32_t align_log2      # log2 of its alignment
    uint32_t pad             # zero

cdef enum:                   # bits of Columns.needs: what the whole output needs, set by scan
    NEEDS_GOT_BASE = 1       # something refers to the GOT as such: its section exists though empty
    NEEDS_TLSLD = 2          # a module/offset pair for local-dynamic TLS
    NEEDS_TEXTREL = 4        # a dynamic relocation in a section without SHF_WRITE
    NEEDS_STATIC_TLS = 8     # a shared object with initial-exec TLS: DF_STATIC_TLS
    NEEDS_ARCH = 65536       # this bit and those above it belong to the target's module

cdef struct Columns:
    File* files              # [nfiles]
    uint32_t nfiles          # rows in use, row 0 included
    uint32_t files_capacity  # rows allocated
    Fragment* frags          # [nfrags]
    uint64_t* frag_addr      # [nfrags] offset in the output section while addresses are assigned, then address
    uint8_t* frag_state      # [nfrags] STATE_* bits
    uint32_t nfrags          # rows in use, row 0 included
    uint32_t frags_capacity  # rows allocated
    uint32_t first_extra     # first fragment id behind the input sections
    uint32_t pad0            # zero
    Global* globals          # [nglobals]
    uint32_t* gflags         # [nglobals] G_* bits
    uint8_t* gneeds          # [nglobals] NEED_* bits, atomically or'ed by scan
    uint64_t* gvalue         # [nglobals] final S of each global
    uint32_t nglobals        # rows in use (highest gid + 1)
    uint32_t globals_capacity # rows allocated
    uint8_t* gmark           # [nglobals] MARK_* bits
    uint32_t* gprovider      # [nglobals] first archive member whose index names it, 0 none
    Partition* names         # [PARTITIONS] the name table
    AtSymbol* at_symbols     # [nat] symbols with '@' in their names, in file order
    uint32_t ncommon         # common symbols met by the walk, repeats included
    uint32_t nat             # rows in use
    uint32_t at_capacity     # rows allocated
    Archive* archives        # [narchives], row 0 none
    uint32_t narchives       # rows in use
    uint32_t archives_capacity # rows allocated
    Aux* aux                 # [naux]
    uint32_t naux            # rows in use, row 0 included
    uint32_t aux_capacity    # rows allocated
    uint32_t* live           # [nlive] live object files in link order (file 1 first); filled by the walk
    uint32_t nlive           # number of live objects
    uint32_t live_capacity   # rows allocated
    uint32_t* shared         # [nshared] live shared objects in order
    uint32_t nshared         # number of them
    uint32_t shared_capacity # rows allocated
    MergeGroup* merge_groups # [nmerge_groups], row 0 none
    uint32_t nmerge_groups   # rows in use
    uint32_t pad1            # zero
    MergeInput* merge_inputs # [nmerge_inputs], row 0 none
    uint64_t nmerge_inputs   # rows in use
    uint32_t* piece_in       # [npieces + 1] byte offset of each piece in its input section, ascending in an input
    uint32_t* piece_out      # [npieces] byte offset of the piece in its group's carrier; 0xffffffff dead
    uint64_t npieces         # pieces
    Cie* cies                # [ncies], row 0 none
    Fde* fdes                # [nfdes], row 0 none
    EhInput* ehs             # [nehs], row 0 none
    uint32_t ncies           # rows in use
    uint32_t nfdes           # rows in use
    uint32_t nehs            # rows in use
    Output* outputs          # [noutputs + 1] by Fragment.output, row 0 none; NULL before the output is written
    uint32_t noutputs        # output sections
    uint32_t nplain          # how many of them, the last ones, are rows of `plain`
    Plain* plain             # [nplain]
    uint32_t special[48]     # fragment ids of linker-made sections, by SPECIAL_*; 0 when absent
    Image image              # addresses for formulas
    Rela* dynrels            # [ndynrels] canonical dynamic relocations being made; relative ones first
    uint64_t ndynrels        # rows
    uint64_t nrelative       # how many of them are relative
    uint64_t* relr           # [nrelr] addresses of packed relative relocations, unsorted
    uint64_t nrelr           # rows
    void* ops                # ops.Ops of the target (ops.pxd builds on this file, hence the void)
    void* arch               # tables of the target itself, NULL when it has none; owned by its layout pass
    uint32_t needs           # NEEDS_* bits
    uint32_t pad3            # zero
    Thunk* thunks            # [nthunks], row 0 none; owned by _core.thunks.Thunks
    ThunkRef* thunk_refs     # [thunk_mask + 1] open-addressing table by key, NULL when no branch needs one
    uint32_t nthunks         # rows in use
    uint32_t thunk_mask      # slots - 1
    int threads              # threads to use, >= 1
    uint8_t shared_output    # 1 for -shared
    uint8_t pic              # 1 when the image has no fixed address (-shared, -pie, static-pie)
    uint8_t dynamic_output   # 1 when there is a .dynamic (not -static, not -r)
    uint8_t relocatable      # 1 for -r
    uint8_t emit_relocs      # 1 for --emit-relocs
    uint8_t swap             # 1 when the output's byte order is not the host's
    uint8_t elf32            # 1 when the output is ELFCLASS32
    uint8_t rela             # 1 when the output's dynamic relocations carry addends
    uint8_t z_now            # 1 when there is no lazy binding
    uint8_t z_text           # 1 when text relocations are errors, 2 when they are allowed silently
    uint8_t z_nocopyreloc    # 1 when copy relocations are errors
    uint8_t use_relr         # 1 when relative relocations are packed
    uint8_t relax            # 0 for --no-relax
    uint8_t rela_records     # 1 when the relocation sections of -r and --emit-relocs carry addends
    uint8_t split_info       # 1: Elf64 r_info is a word with the symbol and four bytes of types (MIPS N64)
    uint16_t machine         # e_machine of the output
    uint16_t large_common    # section index of common symbols beyond small code models, 0 none
    uint32_t large_flag      # sh_flags bit of sections beyond small code models, 0 none
    Faults* faults           # error records of nogil code; owned by Tables


cdef class Tables:
    """Owner of a link's columns; freed with it. Exports columns to Python by name (see tables.pyx)."""
    cdef Columns c           # the columns
    cdef list buffers        # Python objects (bytes) that data pointers point into
    cdef list mappings       # (address, length) of mapped inputs, unmapped with the tables

    cdef int reserve_files(self, uint32_t extra) except -1
    cdef int reserve_frags(self, uint32_t extra) except -1
    cdef int reserve_globals(self, uint32_t total) except -1
    cdef int reserve_aux(self, uint32_t extra) except -1


cdef inline uint32_t group_words(const Shdr* s) noexcept nogil:
    """Words of a section of File.groups, the flags included; 0 for a .gnu.linkonce section, which has no list."""
    return <uint32_t>(s.sh_size // 4) if s.sh_type == SHT_GROUP else 0


# The file, section index and section header behind a fragment of an input file.
cdef inline uint32_t frag_shndx(Columns* c, uint32_t frag) noexcept nogil:
    """Section index of an input fragment in its file; only for frag < first_extra."""
    return frag - c.files[c.frags[frag].file].frag_base


cdef inline uint32_t sym_section(const File* f, uint32_t index) noexcept nogil:
    """Section index of a symbol with SHN_XINDEX resolved; reserved indices keep their value."""
    cdef uint32_t n = f.syms[index].st_shndx
    if n == 0xffff and f.symtab_shndx != NULL:
        return f.symtab_shndx[index]
    return n


cdef inline bint shndx_is_ordinary(const File* f, uint32_t index) noexcept nogil:
    """True when the symbol is defined in a real section of its file."""
    cdef uint32_t n = f.syms[index].st_shndx
    if n == 0 or (n >= 0xff00 and n != 0xffff):
        return False
    return sym_section(f, index) < f.shnum


cdef inline uint32_t sym_frag(Columns* c, const File* f, uint32_t index) noexcept nogil:
    """Fragment in which a symbol of a live file is defined; 0 for undefined, absolute, common."""
    cdef uint32_t n = f.syms[index].st_shndx
    if n == 0 or (n >= 0xff00 and n != 0xffff):
        return 0
    n = sym_section(f, index)
    return f.frag_base + n if n < f.shnum else 0


cdef inline bint fde_is_live(Columns* c, const Fde* fde) noexcept nogil:
    """True when the function that an FDE describes is in the output, so that the FDE is written."""
    return fde.target != 0 and (
        c.frag_state[fde.target] & (STATE_LIVE | STATE_FOLDED | STATE_SCRIPT_DISCARD) == STATE_LIVE)


cdef inline uint64_t piece_address(Columns* c, uint32_t frag, uint64_t offset) noexcept nogil:
    """Address (or, before layout ends, carrier-relative address) of byte `offset` of a FRAG_MERGE fragment."""
    cdef MergeInput* m = &c.merge_inputs[c.frags[frag].link]
    cdef uint64_t low = m.first_piece
    cdef uint64_t high = m.first_piece + m.npieces
    cdef uint64_t middle
    if m.npieces == 0:
        return c.frag_addr[c.merge_groups[m.group].carrier]
    while high - low > 1:
        middle = (low + high) >> 1
        if c.piece_in[middle] <= offset:
            low = middle
        else:
            high = middle
    return c.frag_addr[c.merge_groups[m.group].carrier] + c.piece_out[low] + (offset - c.piece_in[low])


cdef inline uint64_t frag_address(Columns* c, uint32_t frag, uint64_t offset) noexcept nogil:
    """Address of byte `offset` of a fragment, through merging and folding."""
    cdef Fragment* f = &c.frags[frag]
    if f.kind == FRAG_MERGE and f.link != 0:
        return piece_address(c, frag, offset)
    if c.frag_state[frag] & STATE_FOLDED:
        return c.frag_addr[f.link] + offset
    return c.frag_addr[frag] + offset


cdef inline ThunkRef* thunk_ref(Columns* c, uint32_t frag, uint32_t index) noexcept nogil:
    """The slot of a relocation in thunk_refs: its own, or the free one where it would stand."""
    cdef uint64_t key = <uint64_t>frag << 32 | index
    cdef uint32_t at = <uint32_t>((key * <uint64_t>0x9e3779b97f4a7c15) >> 32) & c.thunk_mask
    while c.thunk_refs[at].key != 0 and c.thunk_refs[at].key != key:
        at = (at + 1) & c.thunk_mask
    return &c.thunk_refs[at]
