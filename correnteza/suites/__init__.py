"""Suites of Great Expectations, exported from the declared expectations and run on what changed."""
