"""What the default scripts depend on: the emulation (Style) and the options (Variant). Every link has one of each;
the text of the scripts (default_script) is wanted by few."""


class Style:
    """What the default script of an emulation needs to know.

    emulation     str, the name for -m
    formats       (default, big-endian, little-endian) BFD names for OUTPUT_FORMAT
    arch          BFD name for OUTPUT_ARCH
    entry         name of the entry symbol
    triple        of the folders of libraries and of cross tools
    lib_suffix    "64", "32" or "": lib64 and so on beside lib
    text_base     int, where an executable starts that is not position independent
    bits          32 or 64
    rel           "rela" or "rel": names of the dynamic relocation sections
    got_header    int, bytes at the start of .got.plt that RELRO may cover when it has that size
    rel_extra     {"name": "letters"} of further data sections with relocations of their own
    parts         dict, part -> text, or function (style, variant) -> text, instead of the standard
                  ones, or a function that returns it; see PARTS of default_script for the names
    relocatable   the same for -r; see RELOCATABLE_PARTS for the names
    """

    __slots__ = ("emulation", "formats", "arch", "entry", "triple", "lib_suffix", "text_base", "bits",
                 "rel", "got_header", "rel_extra", "parts", "relocatable")

    def __init__(self, emulation, formats, arch, triple, text_base, bits, *, entry="_start",
                 lib_suffix="", rel="rela", got_header=0, rel_extra=None, parts=None,
                 relocatable=None):
        self.emulation = emulation
        self.formats = formats
        self.arch = arch
        self.entry = entry
        self.triple = triple
        self.lib_suffix = lib_suffix
        self.text_base = text_base
        self.bits = bits
        self.rel = rel
        self.got_header = got_header
        self.rel_extra = rel_extra or {}
        self.parts = parts or {}
        self.relocatable = relocatable or {}

    def search_dirs(self):
        """The folders of the script's SEARCH_DIR commands; "=" stands for the sysroot."""
        triple, suffix = self.triple, self.lib_suffix
        folders = [f"=/usr/local/lib/{triple}", f"=/lib/{triple}", f"=/usr/lib/{triple}"]
        if suffix:
            folders += [f"=/usr/local/lib{suffix}", f"=/lib{suffix}", f"=/usr/lib{suffix}"]
        folders += ["=/usr/local/lib", "=/lib", "=/usr/lib"]
        if suffix:
            folders.append(f"=/usr/{triple}/lib{suffix}")
        folders.append(f"=/usr/{triple}/lib")
        return folders


class Variant:
    """The options that choose among the default scripts of an emulation.

    kind         "exec", "pie", "shared", "relocatable" (-r) or "constructors" (-Ur)
    separate     0: code shares pages with read-only data; 1: -z separate-code;
                 2: -z separate-loadable-segments, data does not share pages either
    combreloc    bool, one section for all dynamic relocations
    now          bool, -z now: .got.plt is not written after start-up
    pages        "full", "none" (-N: nothing aligned to pages)
    text_prefix  bool, -z keep-text-section-prefix: .text.hot and its like stay apart
    """

    __slots__ = ("kind", "separate", "combreloc", "now", "pages", "text_prefix")

    def __init__(self, kind="exec", separate=1, combreloc=True, now=False, relro=True, omagic=False,
                 nmagic=False, text_prefix=False):
        self.pages = "full"
        self.text_prefix = text_prefix
        if kind in ("relocatable", "constructors"):
            kind, separate, combreloc, now, self.text_prefix = kind, 0, False, False, False
        elif omagic or nmagic:
            kind, separate, combreloc, now = "exec", 0, False, False
            self.pages = "none" if omagic else "full"
        self.kind = kind
        self.separate = separate
        self.combreloc = combreloc
        self.now = now and combreloc and (relro or separate > 0)

    def key(self):
        """A short name, unique among the variants."""
        return "-".join((self.kind, self.pages, str(self.separate),
                         ("now" if self.now else "lazy") if self.combreloc else "split",
                         "prefix" if self.text_prefix else "plain"))
