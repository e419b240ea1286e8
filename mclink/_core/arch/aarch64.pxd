# cython: language_level=3
"""Level 2: what of AArch64 is no formula: fields of instructions, PLT bytes, relaxations. Reached through ops only."""
