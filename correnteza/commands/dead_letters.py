"""`correnteza dead-letters list|show|redrive|discard`: records that could not be decoded or were quarantined."""

import json
from collections import defaultdict
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Annotated, Any

import typer

from correnteza import audit, topics
from correnteza.arguments import confirm
from correnteza.places import places
from correnteza.rows import Csv, Form, Json, Output
from correnteza.rules import quarantining
from correnteza.settings import Settings
from foundation.errors import UsageError
from monitoring.lake import Lake
from monitoring.reading import dead_letters
from producers.redrive import REDRIVES, Action, Closer, DeadLetter, still_undecodable
from schemas.contracts import load
from schemas.registry import Registry
from stream_jobs.rebuild.run import no_silver_rebuild

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)

Entries = Annotated[list[str] | None, typer.Argument(metavar="[ENTRY]...", help="<topic>/<partition>/<offset>.")]
Dataset = Annotated[str | None, typer.Option("--dataset", help="Only those of this dataset.")]


@app.command("list")
def list_(
    dataset: Dataset = None,
    all_: Annotated[bool, typer.Option("--all", help="Also closed ones, with the place of their copies.")] = False,
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
) -> None:
    """Print the open dead letters, oldest first. As SQL: `correnteza query "FROM ops.dead_letters"`."""
    form = Form.of(json_, csv_, output)
    wanted = ["true"] if all_ else ["state = 'open'"]
    if dataset:
        wanted.append("dataset = ?")
    columns = "entry, state, reason, problem, arrived_at" + (", closed_at, copy, note" if all_ else "")
    found = _lake().sql(
        f"SELECT {columns} FROM {dead_letters.VIEW} WHERE {' AND '.join(wanted)} ORDER BY arrived_at, entry",
        [dataset] if dataset else [],
    )
    form.give(found)


@app.command()
def show(entry: Annotated[str, typer.Argument(help="<topic>/<partition>/<offset>.")]) -> None:
    """Print everything known about one dead letter as JSON; its bytes are in hexadecimal."""
    for row in _select(_lake(), [entry], None, None, state="%"):
        row["row"] = row["row"] and json.loads(str(row["row"]))
        print(json.dumps({name: _plain(value) for name, value in row.items()}, indent=1, ensure_ascii=False))


@app.command()
def redrive(
    entries: Entries = None,
    dataset: Dataset = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="Only those with this decode status or broken rule.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every open dead letter.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen; publish nothing.")] = False,
) -> None:
    """Publish dead letters again that can be decoded now, or that meet today's expectations; each is published once.

    The others stay open; the reason is printed.
    """
    if not (entries or dataset or reason or all_):
        raise UsageError(
            "no dead letters were named", hint="name entries, --dataset, --reason or --all; `dead-letters list`"
        )
    with nullcontext() if dry_run else no_silver_rebuild(places(Settings())):
        lake = _lake()
        ready: dict[str, list[DeadLetter]] = defaultdict(list)
        for name, rows in _by_dataset(_select(lake, entries, dataset, reason)).items():
            for row, letter, problem in _judged(lake, name, rows):
                if problem is None:
                    ready[name].append(letter)
                print(f"{row['entry']}  {problem or ('would be redriven' if dry_run else 'can be redriven')}")
        if dry_run or not ready:
            print(f"{sum(map(len, ready.values()))} can be redriven")
            return
        _close(ready, "redriven", None)


@app.command()
def discard(
    entries: Annotated[list[str], typer.Argument(metavar="ENTRY...", help="<topic>/<partition>/<offset>.")],
    note: Annotated[str, typer.Option("--note", help="The reason; it is kept.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Close dead letters that are not needed. Bronze keeps them, and `verify` counts them as discarded."""
    found = _by_dataset(_select(_lake(), entries, None, None))
    if not yes:
        confirm("discard", f"Close {sum(map(len, found.values()))} dead letter(s) for good?")
    with no_silver_rebuild(places(Settings())):
        audit.record(Settings(), "dead-letters discard", ", ".join(entries), note=note)
        _close({name: [_dead_letter(row) for row in rows] for name, rows in found.items()}, "discarded", note)


def _lake() -> Lake:
    lake = Lake(Settings().lake_root)
    dead_letters.register(lake)
    return lake


def _select(
    lake: Lake, entries: list[str] | None, dataset: str | None, reason: str | None, *, state: str = "open"
) -> list[dict[str, Any]]:
    """The selected dead letters. Raises: UsageError when a named entry is not a dead letter in this state."""
    found: list[dict[str, Any]] = lake.rows(
        f"""
        SELECT * FROM {dead_letters.VIEW} WHERE state LIKE $state
          AND ($dataset::VARCHAR IS NULL OR dataset = $dataset)
          AND ($reason::VARCHAR IS NULL OR reason = $reason OR list_contains(rules, $reason))
          AND ($entries::VARCHAR[] IS NULL OR list_contains($entries::VARCHAR[], entry))
        ORDER BY arrived_at, entry""",
        {"state": state, "dataset": dataset, "reason": reason, "entries": entries or None},
    )
    there = {str(row["entry"]) for row in found}
    if missing := [entry for entry in entries or () if entry not in there]:
        what = "no open dead letter" if state == "open" else "no dead letter"
        raise UsageError(f"{what} {missing[0]}", hint="correnteza dead-letters list --all")
    return found


def _by_dataset(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["dataset"]].append(row)
    return found


def _judged(
    lake: Lake, dataset: str, rows: list[dict[str, Any]]
) -> Iterable[tuple[dict[str, Any], DeadLetter, str | None]]:
    """Each dead letter with the reason why it cannot be redriven; None if it can."""
    contract, aside = load(dataset), [row for row in rows if row["rules"]]
    if contract.external is not None:
        for row in rows:
            yield row, _dead_letter(row), f"others own the topic {contract.topic}, and may publish it again"
        return
    places = [(row["topic_id"], row["partition"], row["offset"]) for row in aside]
    records = dead_letters.records(lake, dataset, places) if aside else []
    broken = dead_letters.still_broken(lake, dataset, places, quarantining()[dataset]) if aside else []
    for row, record, rules in zip(aside, records, broken, strict=True):
        problem = f"still breaks {', '.join(rules)}" if rules else None
        if dead_letters.CONFLICT in row["rules"]:
            problem = "contradicts the version that stands: discard it, or wait for the source's correction"
        yield row, _dead_letter(row, record), problem
    for row in rows:
        if not row["rules"]:
            writer = None if row["schema_id"] is None else dead_letters.schema_text(lake, row["schema_id"])
            yield row, _dead_letter(row), still_undecodable(contract, row["value"], writer)


def _dead_letter(row: dict[str, Any], record: dict[str, Any] | None = None) -> DeadLetter:
    return DeadLetter(row["topic_id"], row["partition"], row["offset"], row["reason"], row["key"], row["value"], record)


def _close(letters: dict[str, list[DeadLetter]], action: Action, note: str | None) -> None:
    settings = Settings()
    topics.apply(settings.bootstrap, [load(REDRIVES)], settings.topic_prefix)
    registry = Registry(settings.registry)
    closed = before = 0
    for dataset, each in letters.items():
        topic = load(dataset).topic_at(settings.topic_prefix)
        for done in Closer(settings.bootstrap, settings.topic_prefix, registry, dataset).close(each, action, note):
            closed, before = closed + done.is_news, before + (not done.is_news)
            if done.copy:
                place = f"{topic}/{done.letter.partition}/{done.letter.offset}"
                print(f"{place}  stands again at {topic}/{done.copy[0]}/{done.copy[1]}")
    print(f"{closed} {action}" + (f", {before} closed before" if before else ""))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    return value if value is None or isinstance(value, (int, list, dict)) else str(value)
