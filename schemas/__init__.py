"""Avro side of every record: sources, codec, registry, compatibility."""
