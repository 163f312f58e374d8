"""What several sources of one publisher share; each source is a declaration over it."""
