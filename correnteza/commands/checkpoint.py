"""`correnteza checkpoint inspect|adopt TABLE`: how far a query has read, and how to continue without its checkpoint."""

import json
from typing import Annotated

import typer

from correnteza import audit
from correnteza.arguments import confirm
from correnteza.places import places
from correnteza.settings import Settings
from foundation.errors import UsageError
from sinks.locks import exclusive
from stream_jobs.bronze.job import bronze_contracts, table_name
from stream_jobs.running import guards
from stream_jobs.running.jobs import Broker

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)

Query = Annotated[str, typer.Argument(help="<layer>.<table>, such as bronze.inmet_hourly.")]


@app.command()
def inspect(query: Query) -> None:
    """Print as JSON what the checkpoint belongs to, and the present state."""
    settings = Settings()
    topic = _topic(settings, query)
    broker = Broker(settings.bootstrap, settings.topic_prefix) if topic else None
    print(json.dumps(guards.describe(places(settings), query, broker, topic), indent=1))


@app.command()
def adopt(
    query: Query,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    accept_loss: Annotated[
        bool,
        typer.Option("--accept-loss", help="Skip records that retention removed unread, and list them in ops.gaps."),
    ] = False,
) -> None:
    """Begin a new generation on the existing tables, if a checkpoint is lost, damaged or of another topic.

    Bronze continues after the last offset in its table. Silver and gold read everything again; rows that are right do
    not change.
    """
    settings = Settings()
    topic = _topic(settings, query)
    if not yes:
        confirm("adopt", f"Leave the present checkpoint of {query} behind and begin a new one?")
    where = places(settings)
    with exclusive(where.locks, query, where.lake):
        audit.record(settings, "checkpoint adopt", query, accept_loss=accept_loss)
        # Silver and gold need no broker.
        broker = Broker(settings.bootstrap if topic else "", settings.topic_prefix)
        accepted_by = audit.user() if accept_loss else None
        guard = guards.adopt(where, query, broker, topic, loss_accepted_by=accepted_by)
    print(f"{query}: generation {guard.generation}, from {guard.starting_offsets or 'the beginning of its input'}")


def _topic(settings: Settings, query: str) -> str | None:
    """The topic of a bronze query. Raises: UsageError when there is no such bronze table."""
    guards.checkpoint_of(places(settings), query)
    if not query.startswith("bronze."):
        return None
    topics = {table_name(contract): contract.topic_at(settings.topic_prefix) for contract in bronze_contracts()}
    if query not in topics:
        raise UsageError(f"no table {query}", hint=f"one of: {', '.join(sorted(topics))}")
    return topics[query]
