"""Measurements: each is one command, prints a table and writes JSON, and runs its reference in the same run."""
