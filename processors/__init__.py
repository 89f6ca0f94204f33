"""The pure domain core: records, decisions, folds. No clock, no I/O, no randomness, no logging, no async."""
