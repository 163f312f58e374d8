"""`erase`: a key of a dataset leaves every layer for good. Decisions and what they cost: docs/adr/0028."""
