"""Records of where a program's cycles and bytes go: typed plain data, apart from every drawing of it."""
