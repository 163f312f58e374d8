"""Whether everything is there once, read again by other code."""
