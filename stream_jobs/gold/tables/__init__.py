"""Gold's tables, a module each."""
