"""Checks of a finished run by a program of its own: `python -m streams.checks`.

It reads the topics with its own reader and the venue's own ledger, folds both again, and compares.
Of the program that it checks it shares only the records and their schemas: nothing of the engine,
the agents or the replay is imported, so a defect there can't hide itself here.
"""
