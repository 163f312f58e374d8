"""Bronze: every record of a topic as one row."""
