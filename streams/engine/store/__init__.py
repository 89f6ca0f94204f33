"""Stores of committed table data."""
