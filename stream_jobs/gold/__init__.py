"""Gold tables, one declaration per module; `model.py` is the interface they are written against."""
