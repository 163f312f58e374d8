"""The topics of the schedule: requests to poll, requests to retry, requests given up, and outcomes.

Their records are JSON without contracts: they hold no data of sources, no table stores them, and only this program
reads them.
"""

REQUESTS = "poll.requests"
RETRY = "poll.retry"
DEAD = "poll.dead"
OUTCOMES = "poll.outcomes"

REQUEST_PARTITIONS = 24
"""More than there are sources: each source has its own partition, so that a slow one does not delay others."""

APP = "correnteza-schedule"
"""The workers' consumer group."""

LEADER = f"{APP}-__assignor-__leader"
"""The worker that holds the one partition of this topic is the leader. Faust names it; nothing is written to it."""

PARTITIONS = {REQUESTS: REQUEST_PARTITIONS, RETRY: 1, DEAD: 1, OUTCOMES: 1, LEADER: 1}
