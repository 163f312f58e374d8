"""When polls are due, who runs them, and their outcomes. Only `worker.py` imports Faust."""
