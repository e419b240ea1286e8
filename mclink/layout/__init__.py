"""Phase 3, first half: output sections, synthetic contents, addresses, segments."""
