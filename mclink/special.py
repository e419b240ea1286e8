"""Numbers of the linker's own sections: Columns.special of _core/tables.pxd, shared by the phases."""

GOT, GOT_PLT, PLT, PLT_GOT, IPLT, IGOT_PLT, RELA_DYN, RELA_PLT, RELA_IPLT, RELR_DYN = range(1, 11)
DYNSYM, DYNSTR, DYNAMIC, HASH, GNU_HASH, VERSYM, VERNEED, VERDEF, INTERP, EH_FRAME_HDR = range(11, 21)
DYNBSS, DYNRELRO, BUILD_ID, PROPERTY, PLT_LAZY, PLT_EH = range(21, 27)
COUNT = 48
