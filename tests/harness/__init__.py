"""What the behaviour tests stand on: targets, the linker under test, compilers, ELF readers, judges."""
