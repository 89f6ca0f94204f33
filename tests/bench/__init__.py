"""Measurements: throughput, latency, recovery; run by the Makefile, not by pytest."""
