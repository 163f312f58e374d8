"""The command line: each verb parses its arguments, calls one function, prints.

Data goes to stdout, everything else to stderr. A command's module is imported only when the command runs, so that
`correnteza --help` does not import Spark.
"""

import os
import sys
import traceback
from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from correnteza.ending import Ending
from foundation import clock, failpoints, log
from foundation.errors import CorrentezaError, UnsafeState
from foundation.files import keep_private
from foundation.redact import Escaping, redacted

# Verb → its module under correnteza/commands, which defines a function `command`, or a Typer `app` of sub-commands.
VERBS = {
    "demo": "poll a replay of the real sources, stream it to gold, verify it",
    "up": "run broker, registry, stream driver, schedule and monitor, and keep them running",
    "down": "stop what `up` started",
    "topics": "show or create the topics that contracts and schedule declare",
    "schemas": "check the contracts, and compare them with the registry",
    "poll": "poll sources and publish what is new",
    "schedule": "poll every source at each slot of its calendar, until stopped",
    "sources": "each source: calendar, next slot, last outcome, freshness, terms",
    "parse": "run a source's parser on local files",
    "run": "run the streaming layers in one Spark driver",
    "status": "records and seconds behind, per topic and layer",
    "monitor": "serve metrics for Prometheus and a status page for people",
    "verify": "prove that nothing is lost or doubled between payload and gold",
    "query": "run SQL over the lake",
    "as-of": "a dataset as it was known at an instant",
    "revisions": "every published version of one key",
    "features": "the external factors as they were known at past instants",
    "explain-row": "trace a gold row back to silver, bronze, payload and URL",
    "quality": "scores, anomalies, reconciliation and publication lags of what the sources sent",
    "migrate": "bring SQLite tables and CSV files of an old system, verify them, take them back",
    "forecasts": "load forecasts made elsewhere into gold.forecasts",
    "marts": "build tables in SQL over silver and gold, with dbt",
    "databases": "make the metadata databases of Airflow, MLflow and Great Expectations in PostgreSQL",
    "plot": "draw a series or a factor, with its vintages in one picture",
    "checkpoint": "inspect or adopt a streaming checkpoint",
    "rebuild": "build tables again, compare them with the live ones, swap them in or back",
    "erase": "remove a key from every layer for good, and say what Kafka still holds of it",
    "maintain": "compact small files of the tables, and remove what no reader needs",
    "config": "print every setting and where it comes from, and find invalid ones",
    "init": "write .env and correnteza.toml, with new secrets",
    "doctor": "find what keeps the pipeline from starting, and the command that fixes it",
    "dead-letters": "list records that could not be read or were set aside, and publish them again",
    "withdrawals": "decide on publications that shrank too much",
    "replay-source": "serve recorded publications of the real sources over HTTP",
    "setup": "fetch the pinned jars",
}

EXIT_CODES = {
    "0": "done; `status` also ends with 0 when only the broker is away",
    "1": "it failed, or you answered a question with no",
    "2": "an argument or a setting is wrong",
    "3": "going on could lose or double data, or a check does not hold",
    "4": "broker, registry or source is away",
    "75": "another producer took over, or a worker of `schedule` made no progress; start it again",
    "99": "nothing was new: `poll --slot`, and other commands with --exit-99",
    "130": "ended by Ctrl-C",
    "143": "ended by SIGTERM, at a point from which the next one goes on",
}

# Setting → one line of help, so that help does not import settings.py, which has more.
SETTINGS = {
    "home": "folder for lake, checkpoints, archive and logs",
    "lake": "where tables stand: a folder or s3://<bucket>/<prefix>",
    "archive": "where payloads are kept: a folder or s3://<bucket>/<prefix>",
    "s3_endpoint": "URL of an S3-compatible store",
    "s3_region": "region of the buckets",
    "s3_access_key": "key of the store; unset: the platform's own",
    "s3_secret_key": "secret of the store",
    "s3_path_style": "whether a bucket stands in the URL's path",
    "profile": "dev or prod",
    "kafka_bootstrap": "your brokers, host:port[,host:port]",
    "kafka_security": "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL",
    "kafka_sasl_mechanism": "SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN",
    "kafka_user": "this component's principal",
    "kafka_password": "its password",
    "kafka_ca": "PEM file: who signs the brokers' certificates",
    "kafka_certificate": "PEM file: this component's certificate",
    "kafka_key": "PEM file: its key",
    "registry_url": "your schema registry",
    "registry_ca": "PEM file: who signs the registry's certificate",
    "register_schemas": "whether polls register new schemas",
    "topic_prefix": "prefix of every topic's name",
    "java_home": "a JDK 21 or newer",
    "maven_settings": "a Maven settings.xml with the mirror for set-up",
    "jars": "the folder that set-up puts jars in",
    "spark_driver_memory": "heap of the Spark driver",
    "spark_master": "local[*], or spark://host:port of a cluster",
    "base_urls": "JSON: source name to base URL",
    "history_start": "JSON: source name to first day of its history",
    "api_keys": "JSON: source name to key",
    "polled": "JSON: source name to series, tables or currencies",
    "places": "JSON: municipality code to point, station, time zone",
    "thresholds": "JSON: name to threshold of a flag of gold",
    "chunk_rows": "rows per transaction",
    "archive_keep_days": "days after which `maintain` removes unneeded payloads",
    "ledger": "a file with one line per acknowledged chunk, for tests",
    "bronze_interval_seconds": "how often bronze looks for input",
    "silver_interval_seconds": "how often silver looks for input",
    "gold_interval_seconds": "how often gold looks for input",
    "maintenance_interval_seconds": "how often the driver maintains its tables",
    "canary_interval_seconds": "how often a canary is sent; 0 for never",
    "stop_timeout_seconds": "how long batches have to end after SIGTERM",
    "metrics_host": "address that metrics and the status page listen on",
    "monitor_port": "port of `monitor`; 0 takes a free one",
    "stream_metrics_port": "port of the driver's metrics; 0 for none",
    "driver_host": "host of the driver, if it is not the monitor's",
    "schedule_metrics_port": "port of the pollers' metrics; 0 for none",
    "monitor_interval_seconds": "how often the monitor reads each part",
    "shadow_group": "a consumer group whose offsets follow bronze",
    "quality_database": "database URL of the results of Great Expectations",
    "mlflow_tracking": "tracking URI of MLflow",
    "airflow_database": "database URL of Airflow's metadata",
    "postgres_admin": "database URL of a superuser, for `databases apply`",
}


class _LogFormat(StrEnum):
    JSON = "json"
    CONSOLE = "console"


class _LazyGroup(TyperGroup):
    """Loads a verb's module on first use; help and the completion of a verb need only the tables above."""

    _completing = False

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # Typer hides click's own type
        return list(VERBS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        if cmd_name not in VERBS:
            return None
        if self._completing:
            return TyperCommand(cmd_name, help=VERBS[cmd_name])
        module = import_module(f"correnteza.commands.{cmd_name.replace('-', '_')}")
        app: typer.Typer | None = getattr(module, "app", None)
        if app is None:
            app = typer.Typer(add_completion=False, rich_markup_mode=None)
            app.command(cmd_name)(module.command)
        loaded = typer.main.get_command(app)
        loaded.name = cmd_name
        return loaded

    def shell_complete(self, ctx: typer.Context, incomplete: str) -> Any:  # type: ignore[override]
        self._completing = True
        try:
            return super().shell_complete(ctx, incomplete)
        finally:
            self._completing = False

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def format_epilog(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        with formatter.section("Exit codes"):
            formatter.write_dl(list(EXIT_CODES.items()))
        with formatter.section("Environment variables, above correnteza.toml (correnteza config show --origin)"):
            formatter.write_dl([(f"CORRENTEZA_{name.upper()}", what) for name, what in SETTINGS.items()])


app = typer.Typer(cls=_LazyGroup, no_args_is_help=True, rich_markup_mode=None)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"correnteza {version('correnteza')}")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    _: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
    debug: bool = typer.Option(False, "--debug", help="Log more, and print a stack trace with an error."),
    log_format: Annotated[
        _LogFormat | None,
        typer.Option("--log-format", help="Format of log lines. Default: console on a terminal, JSON elsewhere."),
    ] = None,
) -> None:
    """Polls public sources, publishes each row to Kafka exactly once, and keeps bitemporal Delta tables."""
    log.configure(debug=debug, form=log_format.value if log_format else None)
    ctx.obj = {"debug": debug}
    if armed := [name for name in (failpoints.VARIABLE, clock.VARIABLE) if os.environ.get(name)]:
        from correnteza.settings import Settings  # imports pydantic; only tests use this

        if Settings().profile == "prod":
            raise UnsafeState(f"{armed[0]} is set under the production profile", hint=f"unset {armed[0]}")
    clock.now()  # an invalid clock is refused here, not during a poll
    _join_replay()


def _join_replay() -> None:
    from correnteza import replay_state
    from correnteza.settings import Settings  # imports pydantic, as every command does; help does not

    try:
        settings = Settings()
    except CorrentezaError:
        return  # the command itself says what is wrong with its settings, or works without them
    if note := replay_state.join(settings.run):
        print(f"note: {note}", file=sys.stderr)


def main() -> None:
    """The entry point of the process."""
    ending = Ending.prepare()
    try:
        exit_with_errors(app)
    except SystemExit as end:
        ending.note(end)
        raise
    ending.code = 0


def exit_with_errors(run: Callable[[], object]) -> None:
    """Run something as a command: turn an error into a message, a hint and an exit code.

    Its files are private, and its output has no control characters.
    """
    keep_private()
    for name in ("stdout", "stderr"):
        if getattr(sys, name).isatty():
            setattr(sys, name, Escaping(getattr(sys, name)))
    try:
        run()
    except CorrentezaError as error:
        if "--debug" in sys.argv:
            print(redacted(traceback.format_exc()), file=sys.stderr)
        print(f"error: {redacted(str(error))}", file=sys.stderr)
        if error.hint:
            print(f"  try: {redacted(error.hint)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
