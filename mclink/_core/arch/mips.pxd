# cython: language_level=3
"""Level 2: what of MIPS is no formula: pairs and composed relocations, slots, jumps, PLT bytes. Reached through ops only."""
