"""Silver tables, one declaration per module: the rules of a dataset. `model.py` explains a declaration."""
