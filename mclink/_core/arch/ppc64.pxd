# cython: language_level=3
"""Level 2: what of 64-bit Power is no formula: fields of instructions, call stubs, relaxations. Reached through ops only."""
