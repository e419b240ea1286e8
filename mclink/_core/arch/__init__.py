"""Machine code that is no formula: PLT bytes, relaxations, odd relocations; a module each family."""
