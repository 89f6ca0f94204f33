"""Re-derives committed history from the journal and compares it, byte for byte."""
