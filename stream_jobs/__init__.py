"""Bronze, silver and gold: what each table is made of, as declarations over a few shared functions."""
