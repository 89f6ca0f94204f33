"""The house rules, held by tests: imports, names, sizes, packaging, documents."""
