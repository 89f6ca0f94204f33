"""A summary of a finished run for people: `python -m streams.summary`."""
