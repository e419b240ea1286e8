# cython: language_level=3
"""Level 2: what of ARM is no formula: instruction fields, interworking, PLT bytes. Reached through ops only."""
