"""Phase 1: the positional input tree and what it finds on disk."""
