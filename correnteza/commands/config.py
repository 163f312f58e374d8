"""`correnteza config show|validate`: every setting, where it comes from, and whether it can be used."""

import json
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import pyarrow as pa
import typer

from correnteza import chosen, settings_errors
from correnteza.rows import Csv, Form, Json, Output
from correnteza.settings import Settings
from foundation.errors import UsageError
from foundation.redact import SHOWN, redacted
from producers import sources
from storage.location import is_remote

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.command()
def show(
    origin: Annotated[bool, typer.Option("--origin", help="Also print where each value comes from.")] = False,
    json_: Json = False,
    csv_: Csv = False,
    output: Output = None,
) -> None:
    """Print every setting; `***` replaces keys, passwords in a URL and a URL's query."""
    form = Form.of(json_, csv_, output)
    values = shown(Settings())
    origins = Settings.origins() if origin else {}
    columns: dict[str, list[Any]] = {
        "setting": list(values),
        "variable": [settings_errors.variable(name) for name in values],
        "value": [_text(value) for value in values.values()],
    }
    if origin:
        columns["origin"] = [origins[name] for name in values]
    plain = [
        {"setting": name, "variable": settings_errors.variable(name), "value": value}
        | ({"origin": origins[name]} if origin else {})
        for name, value in values.items()
    ]
    document = "[" + ",\n ".join(json.dumps(each, ensure_ascii=False) for each in plain) + "]"
    form.give(pa.table(columns), document=document)


@app.command()
def validate() -> None:
    """Check every setting; exit 2 and name what is wrong. Contacts no service."""
    settings = Settings()
    if problems := wrong(settings):
        raise UsageError("\n       ".join(problems), hint="correnteza config show --origin")
    given = [where for where in Settings.origins().values() if where != "default"]
    print(f"the settings are valid: {len(given)} set, {len(Settings.model_fields) - len(given)} defaults")


def shown(settings: Settings) -> dict[str, Any]:
    """Setting → value for JSON, without secrets; of `polled`, `places` and `thresholds` also what is declared."""
    found = {
        name: _masked(getattr(settings, name), is_secret=settings_errors.is_secret(field))
        for name, field in Settings.model_fields.items()
    }
    found |= {"polled": chosen.shown_polled(settings.polled), "places": chosen.shown_places(settings.places)}
    found |= {"thresholds": chosen.shown_thresholds(settings.thresholds)}
    keys = found["api_keys"]
    known = sources.load_all() if keys else {}  # importing every source takes a fifth of a second
    return found | {"api_keys": {name if name in known else SHOWN: key for name, key in keys.items()}}


def wrong(settings: Settings) -> list[str]:
    """Problems of settings whose values have the right types. Values that may hold secrets are not repeated."""
    known = sources.load_all()
    problems = [
        f"{name} names {', '.join(map(repr, unknown))}: no such source"
        for name in ("base_urls", "history_start")
        if (unknown := sorted(set(getattr(settings, name)) - set(known)))
    ]
    if set(settings.api_keys) - set(known):  # the name may be a key in the wrong place: not printed
        problems.append("api_keys must hold names of sources, each with its key")
    urls = {f"base_urls of {name}": url for name, url in settings.base_urls.items()}
    if settings.registry_url is not None:
        urls["registry_url"] = settings.registry_url
    if settings.s3_endpoint is not None:
        urls["s3_endpoint"] = settings.s3_endpoint
    problems += [f"{name} must be an http:// or https:// address" for name, url in urls.items() if not _is_url(url)]
    problems += _of_places(settings)
    brokers = settings.kafka_bootstrap
    if brokers is not None and not all(
        re.fullmatch(r"[^\s:/]+:\d+|\[[^\]]+\]:\d+", each) for each in brokers.split(",")
    ):
        problems.append("kafka_bootstrap must be host:port, or several of them with commas between")
    files = {"java_home": settings.java_home, "maven_settings": settings.maven_settings}
    problems += [f"{name}: there is no {path}" for name, path in files.items() if path and not path.exists()]
    return problems


def _of_places(settings: Settings) -> list[str]:
    """What cannot work of lake and archive."""
    problems = [
        f"{name} must be a folder or s3://<bucket>/<prefix>"
        for name in ("lake", "archive")
        if (place := getattr(settings, name)) is not None and "://" in place and not re.match(r"s3://[^/]+", place)
    ]
    if (settings.s3_access_key is None) != (settings.s3_secret_key is None):
        problems.append("s3_access_key and s3_secret_key go together: one of them is not set")
    if settings.archive_keep_days is not None and is_remote(settings.archive or ""):
        problems.append("archive_keep_days is for an archive on a disk: in an object store no payload is removed")
    return problems


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _masked(value: Any, *, is_secret: bool) -> Any:
    if isinstance(value, dict):
        return {name: _masked(each, is_secret=is_secret) for name, each in value.items()}
    if value is None or isinstance(value, int):
        return value
    return SHOWN if is_secret else _without_query(redacted(str(value)), is_path=isinstance(value, Path))


def _without_query(text: str, *, is_path: bool) -> str:
    return text if is_path or "://" not in text else re.sub(r"[?#].*", f"?{SHOWN}", text)


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
