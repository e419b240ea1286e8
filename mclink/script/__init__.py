"""The linker-script language: ast (the tree), lexer, parser, evaluate (expressions), unparse."""
