"""Silver tables, one declaration per module: what a dataset must look like. `model.py` says what a declaration is."""
