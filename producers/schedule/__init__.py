"""When polls are due, who runs them, and what became of them. Only `worker.py` knows Faust."""
