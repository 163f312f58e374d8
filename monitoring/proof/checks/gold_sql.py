"""Gold's definitions, written a second time: plain SQL over silver's revisions and the reference files.

Nothing here is shared with the jobs that fill gold, thresholds included: what changes on one side only must show.
"""

from monitoring.proof.checks import gold_facts
from monitoring.proof.checks.gold_factors import EXTERNAL

DEFINITIONS = (*gold_facts.DEFINITIONS, EXTERNAL)
