"""What a port promises, asked of each implementation. No network."""
