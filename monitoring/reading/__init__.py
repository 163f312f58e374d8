"""The lake as people ask it: by table, by day, by row."""
