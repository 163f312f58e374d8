"""`correnteza rebuild`: fill tables again from their inputs, compare, swap in, and roll back."""

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

HELP = f"""Fill tables again from their inputs while the pipeline runs, then swap them in.

NAME is bronze, silver, gold, all (silver and gold), or <layer>.<table>, such as silver.bcb_sgs (revisions and current
together).

For each query, bronze before silver before gold:

build: the query's job reads its inputs from the beginning and fills shadow tables beside the live ones. The live query
goes on meanwhile.

compare: the shadow must pass the checks of verify, and it is compared with the live tables, row by row. If they differ,
nothing is swapped: exit 3, with counts and examples. If the difference is right: --resume --accept-difference.

swap: one commit per table, between two batches of the live query, which then continues from the shadow's position.
Readers see the old content or the new. A running driver carries out the swap within seconds; without a driver, this
command does.

Bronze is read from Kafka as far as Kafka holds its topic. Older rows are copied from the live table. Rows that the live
table lacks are recovered from the archived payloads; they must be the published ones byte for byte, which the manifests
prove. --from kafka does not use the archive, --from archive copies nothing from the live table. Rows that cannot be
recovered are named: exit 3; with --resume --accept-difference ops.gaps states the loss.

--verify-only computes the tables again in shadow tables, compares them with the live ones, row by row, and removes
them: exit 3 on a difference, for example if a row was edited by hand. With --since and --until only rows that arrived
in that time are compared. Without NAME, all tables are compared.

--dry-run prints what would be read, how long it takes, the disk space that it needs, and which tables are downstream.
--downstream also rebuilds the tables that read the rebuilt ones. That is needed if those have changed.

After a kill at any point, --resume finishes the rebuild. --rollback restores the former content, and the live query
then reads the newer rows. It is possible as long as the former files exist: seven days, and two days for log entries
that the former checkpoint has not read. --abandon removes a shadow that was not swapped in. All steps are described in
docs/rebuild.md.

The JVM that builds needs as much memory as a driver, in addition to the driver; it runs at niceness
{sessions.NICENESS}.
"""


def command(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="A layer, all, a table.")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing: print the plan.")] = False,
    downstream: Annotated[bool, typer.Option("--downstream", help="Also rebuild the tables that read them.")] = False,
    accept: Annotated[bool, typer.Option("--accept-difference", help="Swap tables in although they differ.")] = False,
    origin: Annotated[
        Literal["kafka", "archive"] | None,
        typer.Option("--from", help="For bronze: do not use the archive, or copy nothing from the live table."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify-only", help="Compute the tables again and compare; swap nothing.")
    ] = False,
    since: Annotated[datetime | None, typer.Option(formats=_INSTANTS, help=f"{_ARRIVED} since then.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=_INSTANTS, help=f"{_ARRIVED} before then.")] = None,
    status: Annotated[bool, typer.Option("--status", help="Print the progress of the last rebuild.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the last rebuild.")] = False,
    rollback: Annotated[bool, typer.Option("--rollback", help="Restore the former content of its tables.")] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="Remove its shadows that were not swapped in.")] = False,
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
            print("the rebuild was abandoned; its shadows are removed")
            return
        for query in run.roll_back(where, present):
            print(f"{query}: its former content is back; the live query continues from its former position")
        print("newer rows are read as soon as a driver runs: correnteza run all")


command.__doc__ = HELP


def _verbs(status: bool, resume: bool, rollback: bool, abandon: bool) -> list[tuple[str, bool]]:
    return [("status", status), ("resume", resume), ("rollback", rollback), ("abandon", abandon)]


def _question(verb: str, present: Run) -> str:
    of = ", ".join(present.queries)
    if verb == "abandon":
        return f"Remove the shadows of the rebuild of {of}?"
    return f"Restore the former content of {of}?"


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
        print(f"{', '.join(left)} read the rebuilt tables; if those have changed: correnteza rebuild {' '.join(left)}")


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
    print("computed again, the tables are equal to the live ones")


def _say(line: str) -> None:
    print(line, flush=True)


def _kafka(settings: Settings, queries: Sequence[str]) -> Kafka | None:
    """The inputs of bronze; None if no query is of bronze, so that no broker is needed."""
    is_of_bronze = any(query.startswith("bronze.") for query in queries)
    return Kafka(broker_of(settings), Registry(settings.registry)) if is_of_bronze else None
