"""How bronze says that a record did not decode."""

UNDECODABLE = ("not_framed", "unknown_schema", "corrupt")
"""`decode_status` of such a record; the reasons, too, in the record that closes it. Other reasons are broken rules."""
