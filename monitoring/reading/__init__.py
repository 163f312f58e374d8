"""Queries of people: by table, by day, by row."""
