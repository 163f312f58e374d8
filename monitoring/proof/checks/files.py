"""Every data file that a table's log names is there, and as long as it says."""

from monitoring.proof.checks.model import EXAMPLES, Evidence, Outcome


def check(evidence: Evidence) -> Outcome:
    """Look at the files of every table's present version; none is opened."""
    outcome = Outcome()
    for name, snapshot in sorted(evidence.lake.snapshots.items()):
        outcome.rows += len(snapshot.files)
        if damaged := snapshot.damaged_files:
            outcome.add(name, f"{len(damaged)} data file(s) missing or cut short", damaged[:EXAMPLES])
    return outcome
