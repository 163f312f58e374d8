"""One polite HTTP layer for all sources: who may be asked, how often, how long, and what an answer is worth."""
