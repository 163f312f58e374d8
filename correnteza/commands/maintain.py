"""`correnteza maintain [TABLE…]`: compact tables and remove old files, as a running driver does by itself."""

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Annotated, Any

import pyarrow as pa
import typer

from correnteza import audit, printing, unneeded_payloads
from correnteza.arguments import NOTHING_NEW, Exit99
from correnteza.places import places
from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from correnteza.unneeded_payloads import Unneeded
from foundation import clock
from foundation.errors import CorrentezaError, UnsafeState, UsageError
from sinks.locks import exclusive
from sinks.maintenance import budget, clean, tidy
from sinks.planning import Plan
from sinks.removable import KEPT_DAYS, LOG_DAYS
from stream_jobs.places import Places
from stream_jobs.running import inputs
from stream_jobs.running.maintained_tables import BRONZE, OTHERS, existing_tables, lock_of, plan_of, policy_of
from stream_jobs.running.readers import Readers

NO_BOUND = 1e9
"""Seconds; no limit, because the user waits for the end of the command."""
MOST_NAMED = 2
"""Queries in the table for people; `--json` names them all."""

HELP = f"""Compact small files, and remove what no reader needs. A running driver does the same every hour.

For each table, one after the other:

compact: small files become large ones; no row changes, and no stream reads a row again. In bronze this is done for a
day that is over, once it has {BRONZE.at_least} files below {BRONZE.small_bytes >> 20} MiB; elsewhere once a table has
{OTHERS.at_least} files below {OTHERS.small_bytes >> 20} MiB.

log: entries older than {LOG_DAYS} days are removed, up to the checkpoint that every reader can begin from.

vacuum: data files are removed {KEPT_DAYS} days after they left the table, and so are files of killed attempts.

Nothing is removed that a query has yet to read: "held back by" names the queries, the one furthest behind first. A
query that has not begun may need everything; an abandoned one counts until the folder of its checkpoint is removed.

payload archive: --dry-run lists payloads that no part state, manifest, reject or withdrawal names, once they are
{unneeded_payloads.KEPT_DAYS} days old. They are removed only if the setting archive_keep_days says after how many days.

A driver maintains the tables that it writes; this command refuses them with exit 3. With --exit-99, 99 if a driver
writes every table: there is nothing to do here.
"""


def command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[TABLE]...", help="<layer>.<table>. Default: all tables.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing: print what would be done.")] = False,
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
    *,
    exit_99: Exit99 = False,
) -> None:
    """As `HELP` says. Exit 3 if a driver has a table's lock."""
    form = Form.of(json_, csv_, output)
    if not dry_run and (form.kind != "table" or output is not None):
        raise UsageError("--json, --csv and --output are for --dry-run", hint="correnteza maintain --dry-run --json")
    settings = Settings()
    where = places(settings)
    chosen = _chosen(where, names or [])
    if dry_run:
        plans = list(looked(where, chosen))
        payloads = None if names else _payloads(settings)
        document = _as_json(plans, payloads)
        table = printing.as_table(_for_people(plans), printing.terminal_width())
        form.give(
            pa.Table.from_pylist(
                [each | {"held_back_by": ", ".join(each["held_back_by"])} for each in document["tables"]]
            ),
            people="\n".join([table, _sum(plans), *_listed(payloads, settings)]),
            document=json.dumps(document, indent=1),
        )
        return
    audit.record(
        settings, "maintain", ", ".join(names or ["every table"]), archive_keep_days=settings.archive_keep_days
    )
    readers = Readers(where, inputs.declared())  # read once: if they advance, only more is kept
    refused = [table for table in chosen if not _maintained(where, table, readers)]
    if not names and settings.archive_keep_days is not None and (payloads := _payloads(settings)):
        print(f"payload archive: {unneeded_payloads.remove(settings, payloads)} payloads were removed")
    if exit_99 and len(refused) == len(chosen):
        raise typer.Exit(NOTHING_NEW)
    if refused:
        raise UnsafeState(
            f"{len(refused)} of {len(chosen)} tables are written by a driver, {refused[0]} among them",
            hint="leave them to it: it does the same every hour; or stop it first",
        )


command.__doc__ = HELP


def looked(where: Places, chosen: Sequence[str]) -> Iterable[Plan]:
    """Plan the maintenance of some tables; changes nothing, and needs no lock."""
    readers = Readers(where, inputs.declared())
    return (plan_of(where, table, readers) for table in chosen)


def _as_json(plans: Iterable[Plan], payloads: Sequence[Unneeded] | None) -> dict[str, Any]:
    """The document of `--dry-run --json`. `payloads` is null if the archive was not read."""
    tables = [
        {
            "table": plan.table,
            "files": plan.files,
            "bytes": plan.bytes,
            "log_files": plan.log_files,
            "log_bytes": plan.log_bytes,
            "would_compact": plan.small_files,
            "into": len(plan.groups),
            "would_remove_files": len(plan.old_files.files),
            "would_remove_log_files": len(plan.old_log.files),
            "would_free_bytes": plan.old_bytes,
            "held_back": len(plan.old_files.held) + len(plan.old_log.held),
            "held_back_by": plan.held_by,
        }
        for plan in plans
    ]
    listed = None if payloads is None else [printing.plain(asdict(each)) for each in payloads]
    return {"schema": 1, "tables": tables, "payloads": listed}


def _payloads(settings: Settings) -> list[Unneeded] | None:
    """The unneeded payloads; None, with a line on stderr, if that cannot be determined now."""
    try:
        return unneeded_payloads.unneeded(settings)
    except CorrentezaError as error:
        print(f"payload archive: not looked at, {error}", file=sys.stderr)
        return None


def _listed(payloads: Sequence[Unneeded] | None, settings: Settings) -> list[str]:
    """The payloads in lines for people."""
    if not payloads:
        return [] if payloads is None else ["payload archive: something refers to every payload, or it is young"]
    days = settings.archive_keep_days
    outcome = "would be removed" if days else "stay until archive_keep_days is set"
    lines = [f"{each.put_at:%Y-%m-%d}  {each.sha256[:12]}  {each.bytes:>12,}  {each.url}" for each in payloads]
    size = _size(sum(each.bytes for each in payloads))
    return [f"payload archive: {len(payloads)} payloads ({size}) that nothing refers to {outcome}:", *lines]


def _for_people(plans: Iterable[Plan]) -> pa.Table:
    """A row per table that fits a screen."""
    rows = [
        {
            "table": plan.table,
            "files": plan.files,
            "MiB": round(plan.bytes / 1024**2, 1),
            "log files": plan.log_files,
            "would compact": f"{plan.small_files} into {len(plan.groups)}" if plan.groups else "-",
            "would remove": _removed(plan),
            "held back by": _named(plan.held_by),
        }
        for plan in plans
    ]
    return pa.Table.from_pylist(rows) if rows else pa.table({"table": pa.array([], pa.string())})


def _removed(plan: Plan) -> str:
    if not plan.old_bytes:
        return "-"
    old = len(plan.old_files.files) + len(plan.old_log.files)
    return f"{old} files ({len(plan.old_log.files)} of the log), {_size(plan.old_bytes)}"


def _chosen(where: Places, names: Sequence[str]) -> list[str]:
    there = existing_tables(where)
    if missing := [name for name in names if name not in there]:
        raise UsageError(f"no table {missing[0]}", hint=f"one of: {', '.join(there) or 'none yet'}")
    return [table for table in there if table in names] if names else there


def _maintained(where: Places, table: str, readers: Readers) -> bool:
    """Carry out the plan and print it; False if a driver has the table's lock."""
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(where.locks, lock_of(table), where.lake))
        except UnsafeState as held:
            print(f"{table}: left alone, {held}", file=sys.stderr)
            return False
        plan = plan_of(where, table, readers)
        if plan.is_empty:
            return True
        print(f"{table}: {_intended(plan)} …", file=sys.stderr, flush=True)
        compacted = tidy(plan, policy_of(table), now=clock.now(), until=budget(NO_BOUND))
        log_files, files = clean(plan, until=budget(NO_BOUND))
    parts = [f"{len(plan.expired)} files of old days left the table"] if plan.expired else []
    parts += [f"{sum(len(group.files) for group in compacted)} files became {len(compacted)}"] if compacted else []
    parts += [f"{files + log_files} files were removed ({log_files} of the log)"] if files + log_files else []
    print(f"{table}: {', '.join(parts) or 'a log checkpoint was made'}")
    return True


def _intended(plan: Plan) -> str:
    """The planned work in one line."""
    parts = []
    if plan.expired:
        parts.append(f"let {len(plan.expired)} files of old days go")
    if plan.groups:
        parts.append(f"compact {plan.small_files} files into {len(plan.groups)}")
    elif plan.needs_checkpoint:
        parts.append("make a log checkpoint")
    if plan.old_bytes:
        parts.append(f"remove {len(plan.old_log.files) + len(plan.old_files.files)} files ({_size(plan.old_bytes)})")
    return ", ".join(parts)


def _sum(plans: Sequence[Plan]) -> str:
    small, into = sum(plan.small_files for plan in plans), sum(len(plan.groups) for plan in plans)
    return (
        f"{small} small files would become {into}, and {_size(sum(plan.old_bytes for plan in plans))} be freed;"
        f" {sum(not plan.is_empty for plan in plans)} of {len(plans)} tables have something to do"
    )


def _size(size: int) -> str:
    return f"{size / 1024**2:.1f} MiB" if size >= 1024**2 else f"{size / 1024:.1f} KiB"


def _named(queries: Sequence[str]) -> str:
    """The slowest queries, and the number of the others."""
    if len(queries) <= MOST_NAMED:
        return ", ".join(queries)
    return f"{', '.join(queries[:MOST_NAMED])} and {len(queries) - MOST_NAMED} more"
