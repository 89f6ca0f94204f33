"""The faults, one file a noun; the numbers are those of the verification plan in docs/chaos.md."""
