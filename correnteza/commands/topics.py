"""`correnteza topics`: those that the contracts declare, who may do what with them, and what is in one of others."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from correnteza import acls as rules
from correnteza import audit, inspecting, topics
from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from foundation.errors import UsageError
from monitoring.lag.kafka import Cluster
from monitoring.reading.topic_sample import sample
from producers import sources
from schemas.contracts import load_all, parse
from schemas.registry import Registry

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)

Replicas = Annotated[
    int | None, typer.Option("--replication-factor", min=1, help="Of new topics. By default the cluster's own.")
]
InSync = Annotated[
    int | None, typer.Option("--min-insync", min=1, help="min.insync.replicas of new topics. By default the cluster's.")
]


@app.command()
def plan(
    replicas: Replicas = None, in_sync: InSync = None, json_: Json = False, csv_: Csv = False, output: Output = None
) -> None:
    """Show what `apply` would create."""
    form = Form.of(json_, csv_, output)
    settings = Settings()
    copies = topics.Copies(replicas, in_sync)
    changes = topics.plan(settings.bootstrap, load_all().values(), settings.topic_prefix, copies)
    columns = ("action", "topic", "partitions", "cleanup")
    form.give(pa.table({column: [getattr(change, column) for change in changes] for column in columns}))


@app.command()
def apply(replicas: Replicas = None, in_sync: InSync = None) -> None:
    """Create missing topics; refuse a topic whose configuration is not the declared one.

    In a cluster of three brokers or more: --replication-factor 3 --min-insync 2. A topic that exists with fewer
    replicas, or a lower min.insync.replicas, is refused too.
    """
    settings = Settings()
    copies = topics.Copies(replicas, in_sync)
    created = topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix, copies)
    for topic in created:
        print(f"created {topic}")


@app.command()
def acls(
    principals: Annotated[
        list[str] | None,
        typer.Option("--principal", metavar="ROLE=PRINCIPAL", help="Such as poller=User:poller. Repeat it per role."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--source", help="Let the poller publish this source only. Repeat it.")
    ] = None,
    apply_: Annotated[
        bool, typer.Option("--apply", help="Grant these rights to the principals. None is taken away.")
    ] = False,
    *,
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
) -> None:
    """Show the rights on Kafka that each component needs, and nothing more; with --apply, grant them.

    The roles are admin, poller, stream and monitor; docs/your-cluster.md says which command is whose.
    """
    form = Form.of(json_, csv_, output)
    settings = Settings()
    given = dict(_principal(each) for each in principals or ())
    contracts, prefix = load_all().values(), settings.topic_prefix
    wanted = rules.rights(contracts, prefix, shadow_group=settings.shadow_group, sources=_known(only or ()))
    if not apply_:
        columns = ("role", "resource", "name", "pattern", "operations")
        form.give(pa.table({column: [str(getattr(each, column)) for each in wanted] for column in columns}))
        return
    if not given:
        raise UsageError("nobody is named to grant rights to", hint="--principal poller=User:poller, one per role")
    audit.record(settings, "topics acls --apply", ", ".join(f"{role}={name}" for role, name in given.items()))
    print(f"{rules.apply(settings.bootstrap, wanted, given)} rules are new")


@app.command()
def inspect(
    topic: Annotated[str, typer.Argument(help="Its whole name: topic_prefix is not put before it.")],
    records: Annotated[
        int, typer.Option("--records", min=1, help="Newest offsets to read, of all partitions together.")
    ] = 1000,
    contract: Annotated[
        Path | None,
        typer.Option("--contract", help="A new file for a contract to begin with, in <home>/contracts/DATASET.avsc."),
    ] = None,
    *,
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
) -> None:
    """Show what the newest records of any topic are: formats, schemas, keys, headers, rates; change nothing.

    What no column can hold is said when the contract is read: correct the file, and look with `topics plan`.
    """
    form = Form.of(json_, csv_, output)
    if contract is not None and contract.exists():
        raise UsageError(f"{contract} exists", hint="name another file, or remove it first")
    settings = Settings()
    registry = Registry(settings.registry)
    found = sample(Cluster(settings.bootstrap), topic, records)
    columns = ("about", "found", "records")
    told = list(zip(*inspecting.rows(found, registry), strict=True)) or [(), (), ()]
    form.give(pa.table(dict(zip(columns, map(list, told), strict=True))))
    if contract is not None:
        text = json.dumps(inspecting.contract(topic, found, registry), indent=2, ensure_ascii=False)
        contract.parent.mkdir(parents=True, exist_ok=True)
        with contract.open("x", encoding="utf-8") as file:
            file.write(text + "\n")
        parse(contract.stem, text)  # says what must be corrected


def _principal(text: str) -> tuple[str, str]:
    role, _, name = text.partition("=")
    if role not in rules.ROLES or not name.startswith("User:"):
        raise UsageError(f"{text!r} is no role and principal", hint=f"--principal {'|'.join(rules.ROLES)}=User:name")
    return role, name


def _known(names: Sequence[str]) -> Sequence[str]:
    known = sources.load_all()
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"{unknown[0]!r} is no source", hint="correnteza sources")
    return names
