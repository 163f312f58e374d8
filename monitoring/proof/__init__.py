"""Verify that every record is there exactly once, with code that is independent of the pipeline."""
