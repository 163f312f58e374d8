"""`correnteza erase`: a key of a dataset leaves every layer for good."""

from typing import Annotated

import typer

from correnteza import audit
from correnteza import spark as sessions
from correnteza.arguments import confirm
from correnteza.arguments import key_of as fields_of
from correnteza.erasing.key import Key, key_of
from correnteza.erasing.preconditions import exclusive_lock, require_all_read, require_no_versions
from correnteza.erasing.run import Erase, Plan
from correnteza.places import places
from correnteza.settings import Settings
from foundation.errors import UsageError

_EXAMPLE = "license_row_id=0123"

HELP = """Remove one key of a dataset from every layer for good: gold, silver, bronze, the archived payloads.

COLUMN=VALUE names the natural key, each of its columns once, as the message key spells it: 2025-01-31 for a day,
2025-01-31T12:00:00Z for an instant. `correnteza revisions DATASET COLUMN=VALUE` shows what is known of it.

What happens, in this order:

note: the records' places in Kafka, without key and value, go to ops.erasures. By it verify accounts for them, and no
rebuild brings them back.

archive: a payload that holds the key is kept as the rows that are left of it; its bytes go. Every payload of the
source is parsed to find them.

silver, gold, bronze: files are written anew without the rows. The gold groups that the key touched are recomputed from
what remains.

vacuum: the files that held the key are deleted, and the log's statistics of them. Versions of the tables from before
cannot be read any more, and a rebuild that was swapped in before cannot be rolled back.

Kafka keeps its records until retention takes them: the command says until when. --delete-records deletes the beginning
of their partitions, up to the last of them, and with it all older records there: bronze has them, but others who read
the topics do not get them any more.

If the source still publishes the key, its next edition brings it back: have it removed there first.

Refused with exit 3: beside a driver, maintenance, a rebuild or a redrive (correnteza down stops what `up` started),
while a query has something to read (correnteza run all --once), and where lake or archive is in a bucket that keeps
former versions of its objects. Killed at any point, it is ended by running it again. Before it begins, a line goes to
audit.jsonl, with a slow hash of the key.
"""


def command(
    dataset: Annotated[str, typer.Argument(help="Such as anatel_base_stations.")],
    key: Annotated[list[str], typer.Argument(metavar="COLUMN=VALUE...", help="The natural key, each column of it.")],
    *,
    note: Annotated[str, typer.Option("--note", help="Why, for the audit; not the key itself.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing: print where the key stands.")] = False,
    delete_records: Annotated[
        bool, typer.Option("--delete-records", help="Cut off the beginning of its partitions in Kafka, too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """As `HELP` says."""
    one = key_of(dataset, fields_of(key, _EXAMPLE))
    settings = Settings()
    require_no_versions(settings)
    if dry_run:
        with sessions.when_needed(settings) as spark:
            _give(Erase(settings, one, spark).plan())
        return
    if not note:
        raise UsageError("an erasure needs a reason", hint="add --note, such as --note 'request 17'")
    if one.stands_in(note.encode()):
        raise UsageError("the note holds the key, and would be kept", hint="name the request, not the person")
    with exclusive_lock(places(settings), one), sessions.when_needed(settings) as spark:
        require_all_read(settings, one)
        erase = Erase(settings, one, spark)
        begun, plan = erase.state(), erase.plan()
        if plan.is_empty and begun is None:
            print("nothing to erase: the key stands in no table and in no payload")
            return
        _give(plan)
        if not yes:
            confirm("erase", "Erase all of this? It cannot be undone.")
        state = erase.begin(note)
        about = {"erasure": state.erasure, "note": note, "scrypt": state.digest, "salt": state.salt}
        audit.record(settings, "erase", dataset, delete_records=delete_records, **about)
        erase.carry_out(state, plan.payloads, cut_off=delete_records, say=_say)
    _say(f"{_named(one)} is erased; correnteza verify --full proves the rest")


command.__doc__ = HELP


def _give(plan: Plan) -> None:
    """The plan, in lines."""
    for table, each in plan.tables.items():
        _say(f"{table}: {each.rows} rows in {len(each.live)} files; {len(each.former)} former files hold the key")
    for sha256, taken in plan.payloads.items():
        _say(f"payload {sha256[:12]}: {taken.rows} rows and {taken.rejects} rejects; the rest of it is kept as rows")
    if plan.samples:
        _say(f"{plan.samples} samples of answers that were no data")
    if plan.tables and plan.gold:
        _say(f"recomputed where the key touched them: {', '.join(plan.gold)}")
    for left in plan.kafka:
        _say(f"{left}; --delete-records would delete up to {left.older} older records with them")
    if plan.is_empty:
        _say("nothing to erase: the key stands in no table and in no payload")


def _named(one: Key) -> str:
    return f"the key of {one.contract.name}"


def _say(line: str) -> None:
    print(line, flush=True)
