"""Every record that crosses a topic or is kept in a table; each is held to its `.avsc` by a test."""
