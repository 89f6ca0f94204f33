"""Seeded runs of the shipped code with crashes, duplicates and reordering. No network."""
