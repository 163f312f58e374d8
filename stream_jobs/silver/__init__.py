"""Silver: versions of each key, and the newest of them."""
