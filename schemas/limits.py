"""The maximum size of a record: producers keep to it, and Avro readers accept no larger ones."""

MAX_RECORD_BYTES = 2 * 1024 * 1024
"""Size of one record, including the raw text of a rejected row; far above any row, and small enough for every
reader."""
