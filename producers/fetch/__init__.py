"""One HTTP layer for all sources: which hosts are allowed, how often they are asked, what an answer means."""
