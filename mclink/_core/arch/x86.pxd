# cython: language_level=3
"""Level 2: what of the x86 family is no formula: PLT bytes, NOPs, relaxations. Reached through ops only."""
