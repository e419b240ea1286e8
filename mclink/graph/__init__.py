"""Phase 2: the fragment reference graph."""
