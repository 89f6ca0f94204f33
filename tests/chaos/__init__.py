"""Faults on real workers and a real broker, and an oracle in a process of its own: `python -m tests.chaos`."""
