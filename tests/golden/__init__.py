"""Kept results: shapes, bytes and digests that may change only on purpose. No network."""
