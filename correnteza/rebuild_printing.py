"""The output of `correnteza rebuild`: the plan of a rebuild, and its progress."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

import pyarrow as pa

from correnteza import printing
from correnteza.rows import Form
from correnteza.settings import Settings
from foundation.errors import CorrentezaError
from monitoring.lag.status import bronze_table
from schemas import contracts
from stream_jobs.places import Places
from stream_jobs.rebuild import plan, run
from stream_jobs.rebuild.plan import Planned
from stream_jobs.running import handover, topic_offsets
from stream_jobs.running.jobs import Broker


def print_status(form: Form, where: Places) -> None:
    """Print the progress of the last rebuild, query by query. Raises: UsageError if there is none."""
    present = run.require(where)
    rows = []
    for query in present.queries:
        state = run.state_of(where, present, query)
        former = None if state is None else state.former
        rows.append(
            {
                "query": query,
                "phase": "waiting" if state is None else state.phase,
                "generation": None if state is None else state.generation,
                "former_generation": None if former is None or former.guard is None else former.guard["generation"],
                "former_versions": None if former is None else json.dumps(dict(former.versions)),
            }
        )
    text = printing.as_table(pa.Table.from_pylist(rows), printing.terminal_width())
    if any(row["phase"] in handover.WANTED for row in rows):
        text += "\na swap is requested or begun: a running driver carries it out; else correnteza rebuild --resume"
    elif not run.is_finished(where, present):
        text += "\nunfinished: correnteza rebuild --resume, --rollback or --abandon"
    form.give(pa.Table.from_pylist(rows), people=text, document=json.dumps({"schema": 1, "queries": rows}, indent=1))


def print_plan(form: Form, settings: Settings, where: Places, queries: Sequence[str]) -> None:
    """Print what a rebuild of these queries would read and need; changes nothing."""
    planned = [plan.plan(where, query) for query in queries]
    oldest = _oldest(settings, queries)
    free = plan.free_bytes(where)
    rows = [
        {
            "query": each.query,
            "rows to read": each.rows,
            "MiB now": round(each.bytes / 1024**2, 1),
            "files": each.files,
            "minutes": None if each.seconds is None else round(each.seconds / 60, 1),
            "downstream": ", ".join(each.downstream) or "-",
        }
        for each in planned
    ]
    document = {
        "schema": 1,
        "queries": [asdict(each) for each in planned],
        "needed_bytes": sum(each.bytes for each in planned),
        "free_bytes": free,
        "oldest_offsets": oldest,
    }
    lines = [printing.as_table(pa.Table.from_pylist(rows), printing.terminal_width()), in_words(planned, free)]
    for topic, offsets in (oldest or {}).items():
        told = ", ".join(f"partition {partition} from {offset}" for partition, offset in sorted(offsets.items()))
        lines.append(f"Kafka holds {topic}: {told}")
    lines.append("With the same code the result equals the present content; both are compared before a swap.")
    form.give(pa.Table.from_pylist(rows), people="\n".join(lines), document=json.dumps(document, indent=1))


def _oldest(settings: Settings, queries: Sequence[str]) -> dict[str, dict[int, int]] | None:
    """Topic → partition → the oldest offset that Kafka holds; None, with a line on stderr, if Kafka does not answer."""
    names = {query.partition(".")[2] for query in queries if not query.startswith("gold.")}
    wanted = [contract for contract in contracts.load_all().values() if bronze_table(contract) in names]
    try:
        broker = broker_of(settings)
        topics = [contract.topic_at(broker.prefix) for contract in wanted]
        return {topic: topic_offsets.first_offsets(broker, topic) for topic in topics}
    except CorrentezaError as error:
        print(f"oldest offsets: not known, {error}", file=sys.stderr)
        return None


def broker_of(settings: Settings) -> Broker:
    """The broker of the settings."""
    return Broker(settings.bootstrap, settings.topic_prefix)


def in_words(planned: Sequence[Planned], free: int | None) -> str:
    """A plan in a line."""
    seconds = [each.seconds for each in planned]
    known = [each for each in seconds if each is not None]
    time = f"about {sum(known) / 60:.0f} min" if len(known) == len(seconds) else "time not measured yet"
    rows, needed = sum(each.rows for each in planned), sum(each.bytes for each in planned)
    room = "" if free is None else f", {in_bytes(free)} free"
    return f"{rows:,} rows to read, {time}; {in_bytes(needed)} more stored for seven days{room}"


def in_bytes(size: float) -> str:
    """A size for people."""
    return f"{size / 1024**3:.1f} GiB" if size >= 1024**3 else f"{size / 1024**2:.1f} MiB"
