"""How large a record may be: producers keep to it, and the readers of Avro accept no more."""

MAX_RECORD_BYTES = 2 * 1024 * 1024
"""One record, the raw text of a rejected row included; far above any row, far below what stalls a reader."""
