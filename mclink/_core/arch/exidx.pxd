# cython: language_level=3
"""Level 2: the unwind tables of ARM. Called from Python only."""
