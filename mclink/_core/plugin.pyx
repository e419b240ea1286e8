"""Level 2, phase 2: compiler plugins, which turn intermediate code (LTO) into machine code in the middle of a link.

A plugin is a shared object with a function `onload`. It gets a vector of tagged values, most of them functions of the
linker, and registers its hooks: "claim file" looks at an input and lists the symbols of its IR, "all symbols read" asks
what has become of them and adds the objects that it compiled, "cleanup" removes its temporary files.
Source: the linker plugin interface of GCC ("WHOPR Driver Design", Linker Plugin), as gold, GNU ld and lld speak it.

The symbols of a claimed file become an ELF image without code, so that the walk over the inputs resolves them like any
others. That image is thrown away: mclink.lto walks the inputs anew with the plugin's objects in its place.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t, intptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset, strlen
from mclink._core.bytes cimport store16, store32, store64
from mclink._core.elf cimport *
from mclink._core.tables cimport *

cdef extern from * nogil:
    """
    #include <dlfcn.h>
    #include <fcntl.h>
    #include <stdarg.h>
    #include <stdio.h>
    #include <sys/types.h>
    #include <unistd.h>

    typedef struct {                /* one symbol of IR, as plugin and linker share it */
        char *name;                 /* without version */
        char *version;              /* or NULL */
    #if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        char unused, section_kind, symbol_type, def;
    #else
        char def, symbol_type, section_kind, unused;
    #endif
        int visibility;             /* 0 default, 1 protected, 2 internal, 3 hidden */
        uint64_t size;
        char *comdat_key;           /* name of the COMDAT group, or NULL */
        int resolution;             /* the linker's answer, RESOLVED_* */
    } mclink_plugin_symbol;
    typedef struct { const char *name; int fd; off_t offset; off_t filesize; void *handle; } mclink_plugin_file;
    typedef int (*mclink_claim_t)(const mclink_plugin_file *, int *);
    typedef int (*mclink_hook_t)(void);
    typedef struct { int tag; union { int value; const char *text; void *function; } u; } mclink_plugin_value;
    typedef int (*mclink_onload_t)(mclink_plugin_value *);

    static void (*mclink_plugin_say)(int level, const char *text);
    static int mclink_plugin_message(int level, const char *format, ...)
    {
        char text[4096];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        mclink_plugin_say(level, text);
        return 0;
    }
    static int mclink_run_onload(void *f, mclink_plugin_value *v) { return ((mclink_onload_t)f)(v); }
    static int mclink_run_claim(void *f, const mclink_plugin_file *file, int *claimed)
    { return ((mclink_claim_t)f)(file, claimed); }
    static int mclink_run_hook(void *f) { return ((mclink_hook_t)f)(); }
    static void mclink_value_int(mclink_plugin_value *v, int tag, int value) { v->tag = tag; v->u.value = value; }
    static void mclink_value_text(mclink_plugin_value *v, int tag, const char *t) { v->tag = tag; v->u.text = t; }
    static void mclink_value_function(mclink_plugin_value *v, int tag, void *f) { v->tag = tag; v->u.function = f; }
    """
    ctypedef struct PluginSymbol "mclink_plugin_symbol":
        char* name
        char* version
        char definition "def"    # DEF_*
        char symbol_type         # 0 unknown, 1 function, 2 variable
        int visibility
        uint64_t size
        char* comdat_key
        int resolution
    ctypedef struct PluginFile "mclink_plugin_file":
        const char* name         # path of the object, or of the archive that holds it
        int fd                   # open for reading
        int64_t offset           # of the object in the file
        int64_t filesize         # bytes of the object
        void* handle             # what the plugin's questions about it name it by
    ctypedef struct PluginValue "mclink_plugin_value":
        int tag
    int RTLD_NOW
    void* dlopen(const char* path, int mode)
    void* dlsym(void* library, const char* name)
    char* dlerror()
    int open_file "open"(const char* path, int flags)
    int close_file "close"(int fd)
    int O_RDONLY, O_CLOEXEC
    void (*say "mclink_plugin_say")(int level, const char* text) noexcept nogil
    int plugin_message "mclink_plugin_message"(int level, const char* format, ...)
    int run_onload "mclink_run_onload"(void* function, PluginValue* vector)
    int run_claim "mclink_run_claim"(void* function, const PluginFile* file, int* claimed)
    int run_hook "mclink_run_hook"(void* function)
    void value_int "mclink_value_int"(PluginValue* v, int tag, int value)
    void value_text "mclink_value_text"(PluginValue* v, int tag, const char* text)
    void value_function "mclink_value_function"(PluginValue* v, int tag, void* function)

cdef enum:                   # tags of the vector
    TAG_END = 0
    TAG_API_VERSION = 1
    TAG_LINKER_OUTPUT = 3
    TAG_OPTION = 4
    TAG_REGISTER_CLAIM_FILE = 5
    TAG_REGISTER_ALL_SYMBOLS_READ = 6
    TAG_REGISTER_CLEANUP = 7
    TAG_ADD_SYMBOLS = 8
    TAG_GET_SYMBOLS = 9
    TAG_ADD_INPUT_FILE = 10
    TAG_MESSAGE = 11
    TAG_GET_INPUT_FILE = 12
    TAG_RELEASE_INPUT_FILE = 13
    TAG_ADD_INPUT_LIBRARY = 14
    TAG_OUTPUT_NAME = 15
    TAG_SET_EXTRA_LIBRARY_PATH = 16
    TAG_GNU_LD_VERSION = 17
    TAG_GET_VIEW = 18
    TAG_GET_SYMBOLS_V2 = 25
    TAG_GET_SYMBOLS_V3 = 28
    TAG_ADD_SYMBOLS_V2 = 33

cdef enum:                   # status of the functions
    STATUS_OK = 0
    STATUS_NO_SYMBOLS = 1    # the file is no part of the link
    STATUS_BAD_HANDLE = 2
    STATUS_ERROR = 3

cdef enum:                   # PluginSymbol.definition
    DEF_STRONG = 0
    DEF_WEAK = 1
    DEF_UNDEF = 2
    DEF_UNDEF_WEAK = 3
    DEF_COMMON = 4

cdef enum:                   # PluginSymbol.resolution
    RESOLVED_UNDEF = 1       # nobody defines it
    PREVAILING = 2           # this definition counts, and machine code or the dynamic linker may see it
    PREVAILING_IR = 3        # this definition counts, and only IR refers to it
    PREEMPTED_REG = 4        # a definition in machine code counts
    PREEMPTED_IR = 5         # another one in IR counts
    RESOLVED_IR = 6          # reference to IR
    RESOLVED_EXEC = 7        # reference to machine code
    RESOLVED_DYN = 8         # reference to a shared object
    PREVAILING_IR_EXPORTED = 9 # as PREVAILING_IR, but exported (from version 2 of "get symbols" on)

cdef enum:
    GNU_LD_VERSION = 240     # what the functions above amount to: 100 * major + minor
    MENTION_MACHINE = 1      # bits of Plugin.mentions: an object of machine code names it
    MENTION_ROOT = 2         # the command line or a script names it
    TEXT_SECTION = 1         # section indices of the image: code that stands for all definitions outside groups
    FIXED_SECTIONS = 5       # null, .text, .symtab, .strtab, .shstrtab; pairs of group and member follow

cdef Plugin running = None   # the API hands no context to its functions


cdef class Claimed:
    """A file whose IR a plugin has taken."""
    cdef uint32_t file           # file id
    cdef const uint8_t* data     # the IR itself
    cdef uint64_t size           # bytes of it
    cdef int64_t offset          # of it in `path`
    cdef bytes path              # what to open
    cdef int fd                  # open while the plugin looks at it, else -1
    cdef bytes image             # the ELF image of its symbols; None until the plugin lists them


cdef class Plugin:
    """A loaded compiler plugin and the files it has claimed."""
    cdef Tables tables
    cdef void* claim_hook
    cdef void* read_hook
    cdef void* cleanup_hook
    cdef list claims             # Claimed by handle - 1
    cdef bytearray mentions      # MENTION_* by gid
    cdef set ir                  # file ids of `claims`
    cdef bint exports_all        # a shared object or --export-dynamic
    cdef bint relocatable        # -r
    cdef bint elf32, swap        # class and byte order of the image
    cdef uint16_t machine        # e_machine of the image
    cdef list kept               # bytes that the plugin may go on reading
    cdef readonly list added     # paths of the objects that the plugin compiled, bytes
    cdef readonly list libraries # names of libraries that they want, bytes without "lib"
    cdef readonly list folders   # where to look for these libraries first, bytes
    cdef readonly list messages  # (level, text): 0 note, 1 warning, 2 error, 3 fatal

    def __init__(self, bytes path not None, options, bytes output not None, int kind):
        """Loads `path` and runs its `onload`. options: list of bytes, the words of -plugin-opt; kind: 0 -r, 1 executable,
        2 shared object, 3 PIE. Raises OSError with the dynamic linker's words, or RuntimeError when it fails."""
        cdef PluginValue* vector
        cdef void* library
        cdef void* onload
        cdef int status, n = 0
        self.claims, self.added, self.libraries, self.folders, self.messages = [], [], [], [], []
        self.kept = [output, *options]
        library = dlopen(path, RTLD_NOW)
        if library == NULL:
            raise OSError((<bytes>dlerror()).decode("utf-8", "replace"))
        onload = dlsym(library, b"onload")
        if onload == NULL:
            raise OSError(f"{path.decode('utf-8', 'replace')}: no function named onload")
        vector = <PluginValue*>calloc(len(options) + 20, sizeof(PluginValue))
        if vector == NULL:
            raise MemoryError
        value_function(&vector[n], TAG_MESSAGE, <void*>plugin_message); n += 1
        value_int(&vector[n], TAG_API_VERSION, 1); n += 1
        value_int(&vector[n], TAG_GNU_LD_VERSION, GNU_LD_VERSION); n += 1
        value_int(&vector[n], TAG_LINKER_OUTPUT, kind); n += 1
        value_text(&vector[n], TAG_OUTPUT_NAME, output); n += 1
        for word in options:
            value_text(&vector[n], TAG_OPTION, <const char*><bytes>word)
            n += 1
        value_function(&vector[n], TAG_REGISTER_CLAIM_FILE, <void*>register_claim_file); n += 1
        value_function(&vector[n], TAG_REGISTER_ALL_SYMBOLS_READ, <void*>register_all_symbols_read); n += 1
        value_function(&vector[n], TAG_REGISTER_CLEANUP, <void*>register_cleanup); n += 1
        value_function(&vector[n], TAG_ADD_SYMBOLS, <void*>add_symbols); n += 1
        value_function(&vector[n], TAG_ADD_SYMBOLS_V2, <void*>add_symbols); n += 1
        value_function(&vector[n], TAG_GET_SYMBOLS, <void*>get_symbols_1); n += 1
        value_function(&vector[n], TAG_GET_SYMBOLS_V2, <void*>get_symbols_2); n += 1
        value_function(&vector[n], TAG_GET_SYMBOLS_V3, <void*>get_symbols_3); n += 1
        value_function(&vector[n], TAG_ADD_INPUT_FILE, <void*>add_input_file); n += 1
        value_function(&vector[n], TAG_ADD_INPUT_LIBRARY, <void*>add_input_library); n += 1
        value_function(&vector[n], TAG_SET_EXTRA_LIBRARY_PATH, <void*>set_extra_library_path); n += 1
        value_function(&vector[n], TAG_GET_INPUT_FILE, <void*>get_input_file); n += 1
        value_function(&vector[n], TAG_RELEASE_INPUT_FILE, <void*>release_input_file); n += 1
        value_function(&vector[n], TAG_GET_VIEW, <void*>get_view)
        self.enter()
        with nogil:
            status = run_onload(onload, vector)
        free(vector)
        if status != STATUS_OK:
            raise RuntimeError(f"{path.decode('utf-8', 'replace')}: the plugin does not start (status {status})")

    cdef enter(self):
        """Makes this plugin the one that the functions of the API serve."""
        global running, say
        running = self
        say = take_message

    def configure(self, Tables tables, int machine, bint elf32, bint swap, bint exports_all, bint relocatable):
        """Says what the link is, once the target is known. machine: e_machine; exports_all: global definitions of the
        output are visible to other modules; relocatable: -r."""
        self.tables, self.machine, self.elf32, self.swap = tables, <uint16_t>machine, elf32, swap
        self.exports_all, self.relocatable = exports_all, relocatable

    def claim(self, uint32_t file, bytes path not None, int64_t offset):
        """Offers a file of IR to the plugin: True when it takes it; the file's bytes are then the image of its symbols, and
        it waits to be parsed again. path: file or archive on disk; offset: of the bytes in it.

        Raises OSError when it cannot be opened, RuntimeError when the plugin fails."""
        cdef File* f = &self.tables.c.files[file]
        cdef Claimed claimed = Claimed()
        cdef PluginFile offer
        cdef int status, taken = 0
        if self.claim_hook == NULL:
            return False
        claimed.file, claimed.data, claimed.size = file, f.data, f.size
        claimed.path, claimed.offset = path, offset
        self.claims.append(claimed)
        describe_file(claimed, len(self.claims), &offer)
        if offer.fd < 0:
            raise OSError(f"cannot open {path.decode('utf-8', 'replace')} for the compiler plugin")
        self.enter()
        with nogil:
            status = run_claim(self.claim_hook, &offer, &taken)
        close_file(offer.fd)
        if status != STATUS_OK:
            raise RuntimeError(f"the compiler plugin fails on {path.decode('utf-8', 'replace')} (status {status})")
        if not taken:
            # Handles are positions, so the last one is taken back only while it is the last.
            if self.claims[len(self.claims) - 1] is claimed:
                self.claims.pop()
            return False
        if claimed.image is None:
            claimed.image = self.make_image(0, NULL)
        replace_contents(self.tables, file, claimed.image)
        return True

    def compile(self, roots):
        """After the walk: the plugin asks for the fate of its symbols and compiles. roots: gids that the command line or
        scripts name. Raises RuntimeError when the plugin fails; what it said is in `messages`."""
        cdef int status
        if self.read_hook == NULL:
            return
        self.note_mentions(roots)
        self.enter()
        with nogil:
            status = run_hook(self.read_hook)
        if status != STATUS_OK:
            raise RuntimeError(f"the compiler plugin fails (status {status})")

    def clean_up(self):
        """Lets the plugin remove its temporary files; nothing of it is used afterwards."""
        cdef void* hook = self.cleanup_hook
        self.cleanup_hook = NULL
        if hook != NULL:
            self.enter()
            with nogil:
                run_hook(hook)

    def live_files(self):
        """File ids of the claimed files that are part of the link, in the order of claiming."""
        return [(<Claimed>c).file for c in self.claims if self.tables.c.files[(<Claimed>c).file].state == FILE_LIVE]

    def group_names(self):
        """Names of the COMDAT groups that files of IR have won, bytes: what the plugin compiled stands for them."""
        cdef Columns* c = &self.tables.c
        cdef File* f
        cdef uint32_t k
        names = []
        for claimed in self.claims:
            f = &c.files[(<Claimed>claimed).file]
            if f.state != FILE_LIVE:
                continue
            for k in range(f.ngroups):
                if c.globals[f.group_gids[k]].group_file == (<Claimed>claimed).file:
                    names.append(<bytes>(f.strtab + f.syms[f.shdrs[f.groups[k]].sh_info].st_name))
        return names

    cdef note_mentions(self, roots):
        """Which names code that is no IR mentions."""
        cdef Columns* c = &self.tables.c
        cdef uint32_t k, i, gid
        cdef File* f
        cdef uint8_t* marks
        self.ir = {(<Claimed>claimed).file for claimed in self.claims}
        self.mentions = bytearray(c.nglobals)
        marks = self.mentions
        for gid in roots:
            marks[gid] |= MENTION_ROOT
        for k in range(c.nlive):
            f = &c.files[c.live[k]]
            if f.kind != FILE_OBJECT or c.live[k] in self.ir:
                continue
            for i in range(f.nsyms - f.first_global if f.nsyms > f.first_global else 0):
                marks[f.gids[i]] |= MENTION_MACHINE

    cdef int resolution(self, Claimed claimed, uint32_t index, PluginSymbol* s, int version):
        """What has become of symbol `index` of a live claimed file."""
        cdef Columns* c = &self.tables.c
        cdef File* f = &c.files[claimed.file]
        cdef uint32_t gid = f.gids[index]
        cdef Global* g = &c.globals[gid]
        cdef bint exported
        if s.definition == DEF_UNDEF or s.definition == DEF_UNDEF_WEAK:
            if g.state == SYM_SHARED:
                return RESOLVED_DYN
            if g.state != SYM_DEFINED and g.state != SYM_DEFINED_WEAK and g.state != SYM_COMMON:
                return RESOLVED_UNDEF
            return RESOLVED_IR if g.file in self.ir else RESOLVED_EXEC
        if g.file != claimed.file:
            return PREEMPTED_IR if g.file in self.ir else PREEMPTED_REG
        if self.relocatable or self.mentions[gid] or c.gflags[gid] & G_WRAP:
            return PREVAILING
        exported = s.visibility <= 1 and (self.exports_all or c.gflags[gid] & (G_REF_DYNAMIC | G_DEF_DYNAMIC) != 0)
        if exported:
            return PREVAILING_IR_EXPORTED if version >= 2 else PREVAILING
        return PREVAILING_IR

    cdef bytes make_image(self, int count, const PluginSymbol* symbols):
        """A relocatable ELF file with the symbols of an IR file, in their order, behind the signatures of its groups.
        Raises OverflowError when it has more groups than section indices."""
        cdef int i
        cdef uint32_t k, word = 4 if self.elf32 else 8, entry = 16 if self.elf32 else 24, header = 40 if self.elf32 else 64
        cdef const PluginSymbol* s
        keys = {}
        for i in range(count):
            if symbols[i].comdat_key != NULL and is_definition(&symbols[i]):
                keys.setdefault(<bytes>symbols[i].comdat_key, len(keys))
        cdef uint32_t groups = <uint32_t>len(keys)
        cdef uint32_t nsections = FIXED_SECTIONS + 2 * groups
        if nsections >= SHN_LORESERVE:
            raise OverflowError
        names = bytearray(b"\0")
        section_names = b"\0.text\0.symtab\0.strtab\0.shstrtab\0.group\0"
        table = bytearray(entry * (1 + groups + count))
        cdef uint8_t* at = table
        for key, k in keys.items():
            put_symbol(at + entry * (1 + k), len(names), 0, 0, 0, FIXED_SECTIONS + 2 * k + 1, 0, 0, self.elf32, self.swap)
            names += key + b"\0"
        for i in range(count):
            s = &symbols[i]
            k = SHN_UNDEF
            if s.definition == DEF_COMMON:
                k = SHN_COMMON
            elif is_definition(s):
                k = FIXED_SECTIONS + 2 * <uint32_t>keys[<bytes>s.comdat_key] + 1 if s.comdat_key != NULL else TEXT_SECTION
            put_symbol(at + entry * (1 + groups + i), len(names),
                       STB_WEAK if s.definition == DEF_WEAK or s.definition == DEF_UNDEF_WEAK else STB_GLOBAL,
                       STT_FUNC if s.symbol_type == 1 else STT_OBJECT if s.symbol_type == 2 else STT_NOTYPE,
                       elf_visibility(s.visibility), k, 1 if k == SHN_COMMON else 0, s.size, self.elf32, self.swap)
            names += s.name
            if s.version != NULL:
                names += b"@" + s.version
            names += b"\0"
        body = bytearray(52 if self.elf32 else 64)
        group_at = len(body)
        members = bytearray(8 * groups)
        at = members
        for k in range(groups):
            store32(at + 8 * k, GRP_COMDAT, self.swap)
            store32(at + 8 * k + 4, FIXED_SECTIONS + 2 * k + 1, self.swap)
        body += members
        body += bytes(7 - (len(body) + 7) % 8)
        symbols_at = len(body)
        body += table
        names_at = len(body)
        body += names
        section_names_at = len(body)
        body += section_names
        body += bytes(7 - (len(body) + 7) % 8)
        headers_at = len(body)
        body += bytes(header * nsections)
        at = body
        memcpy(at, b"\x7fELF", 4)
        at[4], at[5], at[6] = 1 if self.elf32 else 2, 2 if self.swap else 1, 1
        store16(at + 16, 1, self.swap)
        store16(at + 18, self.machine, self.swap)
        store32(at + 20, 1, self.swap)
        if self.elf32:
            store32(at + 32, <uint32_t>headers_at, self.swap)
        else:
            store64(at + 40, <uint64_t>headers_at, self.swap)
        k = 40 if self.elf32 else 52
        store16(at + k, 52 if self.elf32 else 64, self.swap)
        store16(at + k + 6, header, self.swap)
        store16(at + k + 8, nsections, self.swap)
        store16(at + k + 10, 4, self.swap)
        at += <uint64_t>headers_at
        put_section(at + header, 1, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR, group_at, 0, 0, 0, 1, 0, self.elf32, self.swap)
        put_section(at + 2 * header, 7, SHT_SYMTAB, 0, symbols_at, len(table), 3, 1 + groups, word, entry, self.elf32, self.swap)
        put_section(at + 3 * header, 15, SHT_STRTAB, 0, names_at, len(names), 0, 0, 1, 0, self.elf32, self.swap)
        put_section(at + 4 * header, 23, SHT_STRTAB, 0, section_names_at, len(section_names), 0, 0, 1, 0, self.elf32, self.swap)
        for k in range(groups):
            put_section(at + header * (FIXED_SECTIONS + 2 * k), 33, SHT_GROUP, 0, group_at + 8 * k, 8, 2, 1 + k, 4, 4,
                        self.elf32, self.swap)
            put_section(at + header * (FIXED_SECTIONS + 2 * k + 1), 1, SHT_PROGBITS, SHF_ALLOC | SHF_EXECINSTR | SHF_GROUP,
                        group_at, 0, 0, 0, 1, 0, self.elf32, self.swap)
        return bytes(body)


cdef bint is_definition(const PluginSymbol* s) noexcept:
    return s.definition == DEF_STRONG or s.definition == DEF_WEAK


cdef int elf_visibility(int visibility) noexcept:
    """STV_* of the API's visibility, which counts them otherwise."""
    return (STV_DEFAULT, STV_PROTECTED, STV_INTERNAL, STV_HIDDEN)[visibility & 3]


cdef void put_symbol(uint8_t* p, uint64_t name, int bind, int type, int other, uint32_t section, uint64_t value, uint64_t size,
                     bint elf32, bint swap) noexcept:
    """Writes one symbol of any class and byte order (gABI chapter 4, symbol table)."""
    store32(p, <uint32_t>name, swap)
    if elf32:
        store32(p + 4, <uint32_t>value, swap)
        store32(p + 8, <uint32_t>size, swap)
        p[12], p[13] = <uint8_t>(bind << 4 | type), <uint8_t>other
        store16(p + 14, <uint16_t>section, swap)
    else:
        p[4], p[5] = <uint8_t>(bind << 4 | type), <uint8_t>other
        store16(p + 6, <uint16_t>section, swap)
        store64(p + 8, value, swap)
        store64(p + 16, size, swap)


cdef void put_section(uint8_t* p, uint32_t name, uint32_t type, uint64_t flags, uint64_t offset, uint64_t size, uint32_t link,
                      uint32_t info, uint64_t align, uint64_t entry, bint elf32, bint swap) noexcept:
    """Writes one section header of any class and byte order (gABI chapter 4, section header)."""
    store32(p, name, swap)
    store32(p + 4, type, swap)
    if elf32:
        store32(p + 8, <uint32_t>flags, swap)
        store32(p + 16, <uint32_t>offset, swap)
        store32(p + 20, <uint32_t>size, swap)
        store32(p + 24, link, swap)
        store32(p + 28, info, swap)
        store32(p + 32, <uint32_t>align, swap)
        store32(p + 36, <uint32_t>entry, swap)
    else:
        store64(p + 8, flags, swap)
        store64(p + 24, offset, swap)
        store64(p + 32, size, swap)
        store32(p + 40, link, swap)
        store32(p + 44, info, swap)
        store64(p + 48, align, swap)
        store64(p + 56, entry, swap)


cdef replace_contents(Tables tables, uint32_t file, bytes image):
    """Gives a file other bytes and makes it one that has not been parsed."""
    cdef File* f = &tables.c.files[file]
    tables.buffers.append(image)
    free(f.gids)
    free(f.hashes)
    free(f.groups)
    free(f.group_gids)
    free(f.owned)
    f.gids, f.hashes, f.groups, f.group_gids, f.owned, f.ngroups = NULL, NULL, NULL, NULL, NULL, 0
    f.nsyms, f.first_global, f.symtab_shndx = 0, 0, NULL
    f.flags &= ~<uint32_t>(FILE_LTO | FILE_HAS_AT | FILE_REL | FILE_COMPRESSED)
    f.data, f.size, f.state = <const uint8_t*><const char*>image, <uint64_t>len(image), FILE_MAPPED


cdef void describe_file(Claimed claimed, size_t handle, PluginFile* file) noexcept:
    """Opens a claimed file for the plugin; fd is -1 when that fails."""
    file.name = claimed.path
    file.fd = open_file(claimed.path, O_RDONLY | O_CLOEXEC)
    file.offset, file.filesize, file.handle = claimed.offset, <int64_t>claimed.size, <void*>handle
    claimed.fd = file.fd


cdef Claimed claimed_of(const void* handle):
    """The file behind a handle, None when there is none."""
    cdef size_t position = <size_t>handle
    if running is None or position == 0 or position > <size_t>len(running.claims):
        return None
    return running.claims[position - 1]


# -- the functions of the API; plugins may call some of them from threads of their own

cdef void take_message(int level, const char* text) noexcept with gil:
    if running is not None:
        running.messages.append((level, (<bytes>text).decode("utf-8", "replace").rstrip("\n")))


cdef int register_claim_file(void* hook) noexcept with gil:
    running.claim_hook = hook
    return STATUS_OK


cdef int register_all_symbols_read(void* hook) noexcept with gil:
    running.read_hook = hook
    return STATUS_OK


cdef int register_cleanup(void* hook) noexcept with gil:
    running.cleanup_hook = hook
    return STATUS_OK


cdef int add_symbols(void* handle, int count, const PluginSymbol* symbols) noexcept with gil:
    cdef Claimed claimed = claimed_of(handle)
    cdef int i
    if claimed is None:
        return STATUS_BAD_HANDLE
    for i in range(count):
        if symbols[i].name == NULL or symbols[i].definition < DEF_STRONG or symbols[i].definition > DEF_COMMON:
            return STATUS_ERROR
    try:
        claimed.image = running.make_image(count, symbols)
    except (OverflowError, MemoryError) as problem:
        running.messages.append((3, f"{claimed.path.decode('utf-8', 'replace')}: too many COMDAT groups in one file of IR"
                                 if isinstance(problem, OverflowError) else "out of memory"))
        return STATUS_ERROR
    return STATUS_OK


cdef int answer_symbols(const void* handle, int count, PluginSymbol* symbols, int version) noexcept:
    cdef Claimed claimed = claimed_of(handle)
    cdef File* f
    cdef int i
    if claimed is None:
        return STATUS_BAD_HANDLE
    f = &running.tables.c.files[claimed.file]
    if f.state != FILE_LIVE:
        for i in range(count):
            symbols[i].resolution = PREEMPTED_REG
        return STATUS_NO_SYMBOLS if version >= 3 else STATUS_OK
    if count < 0 or <uint32_t>count > f.nsyms - f.first_global:
        return STATUS_ERROR
    for i in range(count):
        symbols[i].resolution = running.resolution(claimed, i, &symbols[i], version)
    return STATUS_OK


cdef int get_symbols_1(const void* handle, int count, PluginSymbol* symbols) noexcept with gil:
    return answer_symbols(handle, count, symbols, 1)


cdef int get_symbols_2(const void* handle, int count, PluginSymbol* symbols) noexcept with gil:
    return answer_symbols(handle, count, symbols, 2)


cdef int get_symbols_3(const void* handle, int count, PluginSymbol* symbols) noexcept with gil:
    return answer_symbols(handle, count, symbols, 3)


cdef int add_input_file(const char* path) noexcept with gil:
    running.added.append(<bytes>path)
    return STATUS_OK


cdef int add_input_library(const char* name) noexcept with gil:
    running.libraries.append(<bytes>name)
    return STATUS_OK


cdef int set_extra_library_path(const char* path) noexcept with gil:
    running.folders.append(<bytes>path)
    return STATUS_OK


cdef int get_input_file(const void* handle, PluginFile* file) noexcept with gil:
    cdef Claimed claimed = claimed_of(handle)
    if claimed is None:
        return STATUS_BAD_HANDLE
    describe_file(claimed, <size_t>handle, file)
    return STATUS_OK if file.fd >= 0 else STATUS_ERROR


cdef int release_input_file(const void* handle) noexcept with gil:
    cdef Claimed claimed = claimed_of(handle)
    if claimed is None:
        return STATUS_BAD_HANDLE
    if claimed.fd >= 0:
        close_file(claimed.fd)
        claimed.fd = -1
    return STATUS_OK


cdef int get_view(const void* handle, const void** view) noexcept with gil:
    cdef Claimed claimed = claimed_of(handle)
    if claimed is None:
        return STATUS_BAD_HANDLE
    view[0] = claimed.data
    return STATUS_OK
