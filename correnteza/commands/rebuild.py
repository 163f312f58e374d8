"""`correnteza rebuild`: fill tables anew from what came before them, compare, swap in, and back again."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from correnteza import audit, rebuilding
from correnteza import spark as sessions
from correnteza.arguments import confirm
from correnteza.places import places
from correnteza.rebuild_printing import broker_of, in_bytes, in_words, print_plan, print_status
from correnteza.recomputing import Window, verify_only
from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from foundation.errors import UnsafeState, UsageError
from schemas.registry import Registry
from stream_jobs.places import Places
from stream_jobs.rebuild import plan, run
from stream_jobs.rebuild.bronze import Kafka
from stream_jobs.rebuild.run import Origin, Run

_INSTANTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]
_ARRIVED = "With --verify-only: compare rows that arrived, UTC,"

HELP = f"""Fill tables anew from what came before them, while everything goes on; then swap them in.

NAME is bronze, silver, gold, all (silver and gold), or <layer>.<table>, such as silver.bcb_sgs (revisions and current
together).

For each query, bronze before silver before gold:

build: the same job reads its inputs from the beginning, into shadow tables beside the live ones. The live query goes
on meanwhile.

compare: the shadow must be what verify says it must be, and is compared with the live tables, row by row. If they
differ, nothing is swapped: exit 3, with counts and examples. After looking: --resume --accept-difference.

swap: one commit per table, between two batches of the live query, which then goes on where the shadow stands. Readers
see the old content or the new. A running driver does it itself, within seconds; without one, this command does.

Bronze is read from Kafka as far back as that holds it. What Kafka's retention has taken is kept from the live table,
and what that lacks is made again from the archived payloads, byte for byte by the manifests; --from kafka asks no
payload, --from archive keeps nothing of the live table. What cannot be had from anywhere is named: exit 3; with
--resume --accept-difference ops.gaps tells it.

--verify-only computes the tables again aside by the same jobs, compares them with the live ones, row by row, and
removes them: exit 3 on a difference, as where a row was edited by hand. With --since and --until only rows that
arrived then are compared. Without NAME, of all tables.

--dry-run tells what would be read, how long it takes, the disk that it needs, and what is downstream.
--downstream rebuilds the tables that read what is rebuilt, too: needed where that has changed.

Killed at any point, it is ended by --resume. --rollback brings the former content back, and the live query reads what
came since. It can be had for as long as the former files are there: seven days, and two for what the former checkpoint
has yet to read. --abandon removes a shadow that was not swapped in. The steps, and what to do when: docs/rebuild.md

The JVM that builds needs as much memory as a driver, beside the driver's; it runs at niceness {sessions.NICENESS}.
"""


def command(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="A layer, all, a table.")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing: print the plan.")] = False,
    downstream: Annotated[bool, typer.Option("--downstream", help="And the tables that read them.")] = False,
    accept: Annotated[
        bool, typer.Option("--accept-difference", help="Swap in what differs from the live tables.")
    ] = False,
    origin: Annotated[
        Literal["kafka", "archive"] | None,
        typer.Option("--from", help="Of bronze: ask no archived payload, or keep nothing that the table alone has."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify-only", help="Compute the tables again aside, and compare; swap nothing.")
    ] = False,
    since: Annotated[datetime | None, typer.Option(formats=_INSTANTS, help=f"{_ARRIVED} from then on.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=_INSTANTS, help=f"{_ARRIVED} before then.")] = None,
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
    if (since or until) and not verify:
        raise UsageError("--since and --until are for --verify-only", hint="correnteza rebuild --help")
    asked = [verb for verb, is_asked in _verbs(status, resume, rollback, abandon) if is_asked]
    if len(asked) + (bool(names) or verify) != 1 or ((dry_run or origin) and not names):
        raise UsageError(
            "name tables, or one of --status, --resume, --rollback, --abandon", hint="correnteza rebuild --help"
        )
    settings = Settings()
    where = places(settings)
    if status:
        print_status(form, where)
        return
    if dry_run:
        print_plan(form, settings, where, _queries(names or [], downstream))
        return
    if verify:
        utc = [at and at.replace(tzinfo=UTC) for at in (since, until)]
        _verify_only(where, settings, names or [], Window(*utc))
        return
    with run.exclusive_lock(where):
        if names:
            _begin(where, settings, _queries(names, downstream), origin, accept=accept, yes=yes)
            return
        present = run.require(where)
        if resume:
            _resume(where, settings, present, accept=accept)
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


def _begin(
    where: Places, settings: Settings, queries: Sequence[str], origin: Origin | None, *, accept: bool, yes: bool
) -> None:
    planned = [plan.plan(where, query) for query in queries]
    needed, free = sum(each.bytes for each in planned), plan.free_bytes(where)
    if free is not None and needed > free:
        raise UnsafeState(
            f"the new content takes about {in_bytes(needed)}, and {in_bytes(free)} are free",
            hint="rebuild fewer tables at a time; or correnteza maintain",
        )
    if not yes:
        confirm("rebuild", f"Rebuild {', '.join(queries)}: {in_words(planned, free)}?")
    audit.record(settings, "rebuild", ", ".join(queries), accept_difference=accept, origin=origin)
    _resume(where, settings, run.begin(where, queries, origin), accept=accept)
    if left := [each for each in plan.downstream(queries) if each not in queries]:
        print(f"{', '.join(left)} read what was rebuilt; where it has changed: correnteza rebuild {' '.join(left)}")


def _resume(where: Places, settings: Settings, present: Run, *, accept: bool) -> None:
    with sessions.when_needed(settings) as spark:
        rebuilding.resume(
            where,
            present,
            spark=spark,
            accept=accept,
            say=_say,
            stop=threading.Event(),
            kafka=_kafka(settings, present.queries),
            archive=settings.archive_root,
        )


def _verify_only(where: Places, settings: Settings, names: Sequence[str], window: Window) -> None:
    queries = plan.chosen(names or ["all"])
    with run.exclusive_lock(where), sessions.when_needed(settings) as spark:
        kafka = _kafka(settings, queries)
        verify_only(where, queries, window, spark=spark, say=_say, stop=threading.Event(), kafka=kafka)
    print("computed again, the tables are as they stand")


def _say(line: str) -> None:
    print(line, flush=True)


def _kafka(settings: Settings, queries: Sequence[str]) -> Kafka | None:
    """What bronze is filled from; None where no query is of bronze, and no broker is needed."""
    is_of_bronze = any(query.startswith("bronze.") for query in queries)
    return Kafka(broker_of(settings), Registry(settings.registry)) if is_of_bronze else None
