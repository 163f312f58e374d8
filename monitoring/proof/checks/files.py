"""Every data file in a table's log exists and has the size that the log states."""

from monitoring.proof.checks.model import EXAMPLES, Evidence, Outcome


def check(evidence: Evidence) -> Outcome:
    """Check the files of every table's present version; none is opened."""
    outcome = Outcome()
    for name, snapshot in sorted(evidence.lake.snapshots.items()):
        outcome.rows += len(snapshot.files)
        if damaged := snapshot.damaged_files:
            outcome.add(name, f"{len(damaged)} data file(s) missing or cut short", damaged[:EXAMPLES])
    return outcome
