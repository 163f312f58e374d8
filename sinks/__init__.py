"""The only code that writes Delta tables: append, apply_changes, recompute, and the locks that keep one writer."""
