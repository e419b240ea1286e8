"""Phase 3, second half: the output file."""
