"""Processes killed, paused and fenced, then audited, on loopback."""
