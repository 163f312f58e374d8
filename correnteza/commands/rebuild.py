"""`correnteza rebuild`: fill tables anew from what came before them, compare, swap in, and back again."""

import json
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from typing import Annotated

import pyarrow as pa
import typer
from pyspark.sql import SparkSession

from correnteza import audit, printing, rebuilding
from correnteza import spark as sessions
from correnteza.arguments import confirm
from correnteza.places import places
from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from foundation.errors import CorrentezaError, UnsafeState, UsageError
from schemas import contracts
from stream_jobs.places import Places
from stream_jobs.rebuild import plan, run
from stream_jobs.rebuild.plan import Planned
from stream_jobs.rebuild.run import Run
from stream_jobs.running import handover, retention
from stream_jobs.running.jobs import Broker

NICENESS = 10
"""The shadow is built at a lower priority than the live queries."""

HELP = f"""Fill silver tables anew from bronze, or gold tables from silver, while everything goes on; then swap them in.

NAME is silver, gold, all, or <layer>.<table>, such as silver.bcb_sgs (revisions and current together).

For each query, silver before gold:

build: the same job reads its inputs from the beginning, into shadow tables beside the live ones. The live query goes
on meanwhile.

compare: the shadow must be what verify says it must be, and is compared with the live tables, row by row. If they
differ, nothing is swapped: exit 3, with counts and examples. After looking: --resume --accept-difference.

swap: one commit per table, between two batches of the live query, which then goes on where the shadow stands. Readers
see the old content or the new. A running driver does it itself, within seconds; without one, this command does.

--dry-run tells what would be read, how long it takes, the disk that it needs, and what is downstream.
--downstream rebuilds the gold tables that read what is rebuilt, too: needed where silver has changed.

Killed at any point, it is ended by --resume. --rollback brings the former content back, and the live query reads what
came since. It can be had for as long as the former files are there: seven days, and two for what the former checkpoint
has yet to read. --abandon removes a shadow that was not swapped in. The steps, and what to do when: docs/rebuild.md

The JVM that builds needs as much memory as a driver, beside the driver's; it runs at niceness {NICENESS}.
"""


def command(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="silver, gold, all, a table.")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing: print the plan.")] = False,
    downstream: Annotated[bool, typer.Option("--downstream", help="And the gold tables that read them.")] = False,
    accept: Annotated[
        bool, typer.Option("--accept-difference", help="Swap in what differs from the live tables.")
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="How far the last rebuild has come.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with it.")] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="Bring the former content of its tables back.")] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="Remove what it has not swapped in.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
) -> None:
    """As `HELP` says."""
    form = Form.of(json_, csv_, output)
    asked = [verb for verb, is_asked in _verbs(status, resume, rollback, abandon) if is_asked]
    if len(asked) + bool(names) != 1 or (dry_run and not names):
        raise UsageError(
            "name tables, or one of --status, --resume, --rollback, --abandon", hint="correnteza rebuild --help"
        )
    settings = Settings()
    where = places(settings)
    if status:
        _give_status(form, where)
        return
    if dry_run:
        _give_plan(form, settings, where, _queries(names or [], downstream))
        return
    with run.alone(where):
        if names:
            _begin(where, settings, _queries(names, downstream), accept=accept, yes=yes)
            return
        present = run.required(where)
        if resume:
            _go_on(where, settings, present, accept=accept)
            return
        if not yes:
            confirm(f"rebuild --{asked[0]}", _question(asked[0], present))
        audit.record(settings, f"rebuild --{asked[0]}", ", ".join(present.queries))
        if abandon:
            run.abandon(where, present)
            print("the rebuild was abandoned; what it had not swapped in is removed")
            return
        for query in run.roll_back(where, present):
            print(f"{query}: its former content is back; the live query goes on from where it stood then")
        print("what came since is read as soon as a driver runs: correnteza run all")


command.__doc__ = HELP


def _verbs(status: bool, resume: bool, rollback: bool, abandon: bool) -> list[tuple[str, bool]]:
    return [("status", status), ("resume", resume), ("rollback", rollback), ("abandon", abandon)]


def _question(verb: str, present: Run) -> str:
    of = ", ".join(present.queries)
    if verb == "abandon":
        return f"Remove what the rebuild of {of} has built and not swapped in?"
    return f"Bring the former content of {of} back?"


def _queries(names: Sequence[str], with_downstream: bool) -> list[str]:
    queries = plan.chosen(names)
    more = plan.downstream(queries) if with_downstream else []
    return [*queries, *(each for each in more if each not in queries)]


def _begin(where: Places, settings: Settings, queries: Sequence[str], *, accept: bool, yes: bool) -> None:
    planned = [plan.plan(where, query) for query in queries]
    needed, free = sum(each.bytes for each in planned), plan.free_bytes(where)
    if needed > free:
        raise UnsafeState(
            f"the new content takes about {_size(needed)}, and {_size(free)} are free",
            hint="rebuild fewer tables at a time; or correnteza maintain",
        )
    if not yes:
        confirm("rebuild", f"Rebuild {', '.join(queries)}: {_in_words(planned, free)}?")
    audit.record(settings, "rebuild", ", ".join(queries), accept_difference=accept)
    _go_on(where, settings, run.begin(where, queries), accept=accept)
    if left := [each for each in plan.downstream(queries) if each not in queries]:
        print(f"{', '.join(left)} read what was rebuilt; where it has changed: correnteza rebuild {' '.join(left)}")


def _go_on(where: Places, settings: Settings, present: Run, *, accept: bool) -> None:
    @cache
    def spark() -> SparkSession:
        os.nice(NICENESS)
        return sessions.start(settings)

    def say(line: str) -> None:
        print(line, flush=True)

    try:
        rebuilding.go_on(where, present, spark=spark, accept=accept, say=say, stop=threading.Event())
    finally:
        if spark.cache_info().currsize:
            spark().stop()


def _give_status(form: Form, where: Places) -> None:
    present = run.required(where)
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
        text += "\na swap is asked for, or under way: a running driver does it; else correnteza rebuild --resume"
    elif not run.is_finished(where, present):
        text += "\nunfinished: correnteza rebuild --resume, --rollback or --abandon"
    form.give(pa.Table.from_pylist(rows), people=text, document=json.dumps({"schema": 1, "queries": rows}, indent=1))


def _give_plan(form: Form, settings: Settings, where: Places, queries: Sequence[str]) -> None:
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
    lines = [printing.as_table(pa.Table.from_pylist(rows), printing.terminal_width()), _in_words(planned, free)]
    for topic, offsets in (oldest or {}).items():
        told = ", ".join(f"partition {partition} from {offset}" for partition, offset in sorted(offsets.items()))
        lines.append(f"Kafka still holds of {topic}: {told}")
    lines.append("By the same code the result is equal to what is there; it is compared before anything is swapped.")
    form.give(pa.Table.from_pylist(rows), people="\n".join(lines), document=json.dumps(document, indent=1))


def _oldest(settings: Settings, queries: Sequence[str]) -> dict[str, dict[int, int]] | None:
    """Topic → partition → the oldest offset that Kafka holds; None, and a word on stderr, where it does not answer."""
    names = [query.partition(".")[2] for query in queries if query.startswith("silver.")]
    try:
        broker = Broker(settings.bootstrap, settings.topic_prefix)
        topics = [broker.prefix + contracts.load(name).topic for name in names]
        return {topic: retention.first_offsets(broker, topic) for topic in topics}
    except (CorrentezaError, KeyError) as error:
        print(f"oldest offsets: not known, {error}", file=sys.stderr)
        return None


def _in_words(planned: Sequence[Planned], free: int) -> str:
    seconds = [each.seconds for each in planned]
    known = [each for each in seconds if each is not None]
    time = f"about {sum(known) / 60:.0f} min" if len(known) == len(seconds) else "time not measured yet"
    rows, needed = sum(each.rows for each in planned), sum(each.bytes for each in planned)
    return f"{rows:,} rows to read, {time}; {_size(needed)} more on disk for seven days, {_size(free)} free"


def _size(size: float) -> str:
    return f"{size / 1024**3:.1f} GiB" if size >= 1024**3 else f"{size / 1024**2:.1f} MiB"
