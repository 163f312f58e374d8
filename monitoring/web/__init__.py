"""The status page: pure functions from the document of `/status.json` and a day of history to HTML."""
