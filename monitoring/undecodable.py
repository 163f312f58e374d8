"""How bronze marks a record that did not decode."""

UNDECODABLE = ("not_framed", "unknown_schema", "corrupt", "not_json")
"""The `decode_status` values of such records. The closing record has them as its reason; other reasons are broken
rules."""
