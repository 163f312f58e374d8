"""Build the tables of a query anew, beside the live ones."""
