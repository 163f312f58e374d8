"""Code that several sources of one publisher share; each source is a declaration that uses it."""
