"""How the queries run: what must hold before a start, who watches, restarts, lets rest and maintains."""
