"""`correnteza topics plan|apply`: the topics that the contracts declare."""

import pyarrow as pa
import typer

from correnteza import topics
from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from schemas.contracts import load_all

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.command()
def plan(json_: Json = False, csv_: Csv = False, output: Output = None) -> None:
    """Show what `apply` would create."""
    form = Form.of(json_, csv_, output)
    settings = Settings()
    changes = topics.plan(settings.bootstrap, load_all().values(), settings.topic_prefix)
    columns = ("action", "topic", "partitions", "cleanup")
    form.give(pa.table({column: [getattr(change, column) for change in changes] for column in columns}))


@app.command()
def apply() -> None:
    """Create missing topics; refuse a topic whose configuration is not the declared one."""
    settings = Settings()
    created = topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
    for topic in created:
        print(f"created {topic}")
