"""One HTTP layer for all sources: which hosts are allowed, how often requests are sent, and what an answer means."""
