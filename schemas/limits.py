"""The maximum size of a record: producers keep to it, and Avro readers accept no larger ones."""

MAX_RECORD_BYTES = 2 * 1024 * 1024
"""One record, the raw text of a rejected row included; far above any row, far below what stalls a reader."""
