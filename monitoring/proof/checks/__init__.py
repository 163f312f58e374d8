"""The checks of `verify`, one subject per module: each reads the tables again and returns the contradictions."""
