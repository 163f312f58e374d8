"""Gold's definitions, written a second time: plain SQL over silver's revisions and the reference files.

No code or threshold is shared with the jobs that fill gold, so that a change on one side only is found.
"""

from monitoring.proof.checks import gold_facts
from monitoring.proof.checks.gold_factors import EXTERNAL

DEFINITIONS = (*gold_facts.DEFINITIONS, EXTERNAL)
