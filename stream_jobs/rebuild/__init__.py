"""Build the tables of a query again, beside the live ones."""
