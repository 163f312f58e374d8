"""`correnteza init`: the configuration files of a new installation, with new secrets."""

import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from correnteza import own_home
from correnteza.demo import recorded_at
from foundation import clock
from foundation.errors import UsageError
from replay.server import DAYS, base_urls

SECRETS = (
    "GRAFANA_ADMIN_PASSWORD",
    "POSTGRES_ADMIN_PASSWORD",
    "AIRFLOW_DATABASE_PASSWORD",
    "MLFLOW_DATABASE_PASSWORD",
    "QUALITY_DATABASE_PASSWORD",
    "AIRFLOW_JWT_SECRET",
    "AIRFLOW_SECRET_KEY",
    "CORRENTEZA_S3_ACCESS_KEY",
    "CORRENTEZA_S3_SECRET_KEY",
)
"""The secrets that docker-compose.yml needs."""

SECRET_BYTES = 48
"""64 characters: as many as the key of Airflow's tokens needs."""

REPLAY = "http://replay:8000"
"""Where docker-compose.yml's profile `demo` serves the recorded publications."""

STORE = "http://object-store:8333"
"""Where docker-compose.yml's profile `s3` serves lake and archive."""

_ENV = """\
# Read by docker compose, and by nothing else. Keep it to yourself: it holds passwords.
"""

_TOML = """\
# Read by every command that is run in this folder; the environment stands above it.
# All settings: correnteza config show

# prod refuses what only tests need.
profile = "{profile}"

# Folder of lake, checkpoints, archive and logs.
# home = "var"

# Your own brokers and registry; without them `correnteza up` runs embedded ones on this machine.
# kafka_bootstrap = "broker:9092"
# registry_url = "http://registry:8081/apis/ccompat/v7"

# Keys of paying customers stand in no file that others read: CORRENTEZA_API_KEYS_FILE names one with
# {{"openmeteo_archive": "KEY", "openmeteo_forecast": "KEY"}}
"""


def command(
    folder: Annotated[Path, typer.Argument(help="Where to write. Default: here.")] = Path(),
    replay: Annotated[
        bool, typer.Option("--replay", help="For the profile `demo`: recorded publications in place of the sources.")
    ] = False,
    in_store: Annotated[
        bool, typer.Option("--in-store", help="For the profile `s3`: tables and payloads in its object store.")
    ] = False,
) -> None:
    """Write .env (for docker compose) and correnteza.toml (for commands run here), each with mode 0600.

    Passwords are generated, 48 random bytes each. Existing files are never overwritten: if one exists, nothing is
    written, and the exit code is 2.
    """
    files = {folder / ".env": env(replay=replay, in_store=in_store), folder / "correnteza.toml": toml(replay=replay)}
    if there := [str(file) for file in files if file.exists()]:
        raise UsageError(f"{' and '.join(there)} exist already: nothing was written", hint="move them away first")
    for file, content in files.items():
        # O_EXCL: a file that was created meanwhile, or the target of a link, is not overwritten.
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
            opened.write(content)
        print(f"wrote {file}", file=sys.stderr)


def env(*, replay: bool, in_store: bool) -> str:
    """The content of .env, with new secrets."""
    values = {name: secrets.token_urlsafe(SECRET_BYTES) for name in SECRETS}
    if replay:
        # The newest recorded day; the clock starts in its afternoon and runs at normal speed.
        values["CORRENTEZA_PROFILE"] = "dev"
        values["CORRENTEZA_BASE_URLS"] = json.dumps(base_urls(REPLAY), separators=(",", ":"))
        values[clock.VARIABLE] = f"{recorded_at(DAYS[-1]).isoformat()}@1@{time.time():.0f}"
    if in_store:
        values |= {f"CORRENTEZA_{name.upper()}": place for name, place in own_home.STORE.items()}
        values["CORRENTEZA_S3_ENDPOINT"] = STORE
    return _ENV + "".join(f"{name}='{value}'\n" for name, value in values.items())


def toml(*, replay: bool) -> str:
    """The content of correnteza.toml."""
    return _TOML.format(profile="dev" if replay else "prod")
