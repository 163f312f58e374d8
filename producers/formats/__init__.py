"""Bytes → rows: zips, lines, CSV, JSON bodies, and text → values. Nothing here depends on a source."""
