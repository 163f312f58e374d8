"""`correnteza verify`: prove that nothing is lost or doubled between payload and gold."""

import json
from typing import Annotated

import pyarrow as pa
import typer

from correnteza.payload_check import payload_check
from correnteza.rows import Csv, Form, Json, Output
from correnteza.rules import quarantining
from correnteza.settings import Settings
from foundation.errors import UnsafeState
from monitoring.lag.kafka import Cluster
from monitoring.proof.verify import Report, Subject, as_json, verify_since_last
from schemas import contracts
from stream_jobs.gold import reference


def command(
    full: Annotated[
        bool, typer.Option("--full", help="Everything, not only what came since verify last held.")
    ] = False,
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
) -> None:
    """Recompute every layer with other code and compare; exit 3, with the smallest failing keys, on a difference."""
    form = Form.of(json_, csv_, output)
    settings = Settings()
    subject = Subject(
        lake=settings.lake_root,
        checkpoints=settings.checkpoints,
        reference=reference.FOLDER,
        topic_prefix=settings.topic_prefix,
        rules=quarantining(),
    )
    report = verify_since_last(
        subject,
        Cluster(settings.bootstrap),
        contracts.load_all(),
        left=settings.home / "verify" / "verified.json",
        full=full,
        more={"payload = published + rejected": payload_check(settings.archive_root)},
    )
    document = as_json(report)
    columns = ("check", "holds", "rows", "seconds")
    rows = pa.table({column: [each[column] for each in document["checks"]] for column in columns})
    form.give(rows, people=_table(report), document=json.dumps(document, indent=1))
    if not report.holds:
        failed = [verdict.check for verdict in report.verdicts if not verdict.holds]
        raise UnsafeState(f"verify: {len(failed)} check(s) do not hold: {'; '.join(failed)}", hint="correnteza status")


def _table(report: Report) -> str:
    """Check, result, rows, seconds; below each check that fails, the contradicting keys and those not yet processed."""
    width = max(len(verdict.check) for verdict in report.verdicts)
    lines = [f"{'check':{width}}  verdict  {'rows':>10}  seconds"]
    for verdict in report.verdicts:
        word = "holds" if verdict.holds else "FAILS"
        lines.append(f"{verdict.check:{width}}  {word:7}  {verdict.outcome.rows:>10}  {verdict.seconds:7.2f}")
        for finding in verdict.outcome.findings:
            lines.append(f"    {finding.where}: {finding.what}")
            lines += [f"        {example}" for example in finding.examples]
        lines += [f"    not judged: {note}" for note in verdict.outcome.notes[:3]]
        if len(verdict.outcome.notes) > 3:
            lines.append(f"    not judged: and {len(verdict.outcome.notes) - 3} more")
    window = "everything" if report.since is None else f"what arrived since {report.since:%Y-%m-%d %H:%M} UTC"
    lines.append(f"{'verify holds' if report.holds else 'verify FAILS'} over {window}")
    return "\n".join(lines)
