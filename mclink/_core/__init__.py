"""The counting half of mclink: columns of C data and the loops over them.

Nothing in here imports ``mclink`` outside ``mclink._core``; ``docs/design.md`` gives the levels.
"""
