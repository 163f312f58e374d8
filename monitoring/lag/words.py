"""What the states of a query mean, in words for people."""

STATES = {
    "ok": "up to date",
    "behind": "behind",
    "not_started": "not started",
    "topic_replaced": "its topic was made anew",
    "stopped": "stopped",
    "stalled": "stalled",
    "unknown": "unknown",
}
