"""Recorded publications of the real sources, served over HTTP with the sources' own paths, headers and quirks."""
