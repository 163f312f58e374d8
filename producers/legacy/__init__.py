"""Rows of SQLite tables and CSV files: read as text, published once like every other source's rows.

A file is read by a *mapping*, which says what its columns are. `correnteza migrate inspect` proposes one. Nothing is
inferred while rows are read: a value that is not what the mapping says becomes a reject.
"""
