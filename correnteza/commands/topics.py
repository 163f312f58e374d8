"""`correnteza topics plan|apply`: the topics that the contracts declare."""

import typer

from correnteza.settings import Settings
from schemas import topics
from schemas.contracts import load_all

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.command()
def plan() -> None:
    """Show what `apply` would create."""
    settings = Settings()
    for change in topics.plan(settings.bootstrap, load_all().values(), settings.topic_prefix):
        print(f"{change.action:7} {change.topic} partitions={change.partitions} cleanup={change.cleanup}")


@app.command()
def apply() -> None:
    """Create what is missing; refuse a topic that is made otherwise than declared."""
    settings = Settings()
    created = topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
    for topic in created:
        print(f"created {topic}")
