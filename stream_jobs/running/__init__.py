"""How the queries run: the checks before a start, and the code that watches, restarts, pauses and maintains."""
