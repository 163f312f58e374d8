"""Messages about wrong settings: which one, where it was set, and what it must be; never its value."""

import difflib
import json
import os
import re
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import SettingsError

from foundation import clock, failpoints
from foundation.errors import UsageError

PREFIX = "CORRENTEZA_"
FILE = "correnteza.toml"

_NOT_SETTINGS = frozenset({clock.VARIABLE, failpoints.VARIABLE})
"""Variables with our prefix that are not settings; only tests set them."""

READING = (ValidationError, SettingsError, tomllib.TOMLDecodeError, UnicodeDecodeError, OSError)
"""Exceptions of reading the settings. Their texts and tracebacks contain values."""

Fields = Mapping[str, FieldInfo]


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def is_secret(field: FieldInfo) -> bool:
    """Whether the value of a setting holds a key."""
    return SecretStr in (field.annotation, *typing.get_args(field.annotation))


def may_hold_secret(name: str, field: FieldInfo) -> bool:
    """Whether a setting can also be given as the name of a file: its value is a key, or an address with a password."""
    return is_secret(field) or name == "registry_url"


def secret_variables(fields: Fields) -> set[str]:
    """The environment variables whose values may be secrets."""
    return {variable(name) for name, field in fields.items() if may_hold_secret(name, field)}


def file_variable(name: str) -> str:
    """The environment variable that names the file with a secret setting's value."""
    return variable(name) + "_FILE"


def of_files(fields: Fields) -> dict[str, Any]:
    """Secret settings whose values are in files that the environment names. A line break at the end of a file is not
    part of the value.

    Raises: UsageError when a file cannot be read, is no JSON where the setting is an object, or the setting's own
        variable is set too. Messages never show the content of a file.
    """
    found: dict[str, Any] = {}
    environment = {each.upper(): value for each, value in os.environ.items()}
    for name, field in fields.items():
        file = environment.get(file_variable(name)) if may_hold_secret(name, field) else None
        if not file:
            continue
        if set_in_environment(name):
            raise UsageError(
                f"{variable(name)} and {file_variable(name)} are both set", hint=f"unset {variable(name)}, or the other"
            )
        try:
            text = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
            found[name] = json.loads(text) if _is_object(field) else text
        except (OSError, ValueError) as error:
            what = "cannot be read" if isinstance(error, OSError) else f"must be {kind(name, field)}, written as JSON"
            raise UsageError(f"{file_variable(name)}: {file} {what}", hint=f"ls -l {file}") from None
    return found


def _is_object(field: FieldInfo) -> bool:
    return typing.get_origin(field.annotation) is dict


# Settings that are tables: what they must be, and an example.
_TABLES = {
    "polled": ("an object of source names, each with a table of items", '{"bcb_ptax": {"GBP": true}}'),
    "places": ("an object of municipality codes, each with a table of fields", '{"2910800": {"station": "A413"}}'),
    "thresholds": ("an object of names, each with a number", '{"extreme_heat_celsius": 38}'),
}

_FORMS = {"spark_master": "local[*] or spark://host:port"}
"""Settings that are texts of a form: which."""


def example(name: str) -> str:
    """How a table is written where it is set; the page that describes it."""
    if set_in_environment(name):
        return f"export {variable(name)}='{_TABLES[name][1]}'"
    return f"{name} = {_TABLES[name][1].replace(': ', ' = ')} in {FILE}; docs/sources.md, What is yours"


def kind(name: str, field: FieldInfo) -> str:
    """The type of a setting, in words."""
    if name in _TABLES or name in _FORMS:
        return _FORMS.get(name) or _TABLES[name][0]
    options = [each for each in typing.get_args(field.annotation) if each is not type(None)]
    annotation = field.annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        annotation = options[0]
    if typing.get_origin(annotation) is typing.Literal:
        return f"one of {', '.join(map(str, options))}"
    if typing.get_origin(annotation) is dict:
        value = {date: "a date such as 2024-01-31", SecretStr: "its key"}.get(options[1], "a URL")
        return f"an object of source names, each with {value}"
    if annotation is Path:
        return "a path"
    if annotation is bool:
        return "true or false"
    return "text" if annotation in (str, SecretStr) else "a whole number above 0"


def file_content() -> dict[str, Any]:
    """The content of `correnteza.toml`; empty if there is no readable file."""
    try:
        return tomllib.loads(Path(FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def set_in_environment(name: str) -> bool:
    """Whether the environment sets it; upper and lower case do not matter."""
    return any(each.upper() == variable(name) for each in os.environ)


def explained(fields: Fields, error: Exception) -> UsageError:
    """The error to raise instead of one of `READING`."""
    if isinstance(error, ValidationError):
        named = [(str(each["loc"][0]) if each["loc"] else "", str(each["type"])) for each in error.errors()]
        return _wrong(fields, list(dict.fromkeys(named)))
    if isinstance(error, SettingsError):
        found = re.search(r'field "(\w+)"', str(error))
        return _wrong(fields, [(found[1] if found else "", "json")])
    if isinstance(error, tomllib.TOMLDecodeError):
        place = re.search(r"at (line \d+, column \d+|end of document)", str(error))
        return UsageError(
            f"{FILE} is not TOML{': see ' + place[1] if place else ''}",
            hint='a setting is a line such as kafka_bootstrap = "broker:9092"',
        )
    if isinstance(error, UnicodeDecodeError):
        return UsageError(f"{FILE} is not UTF-8 text", hint=f"save {FILE} as UTF-8")
    return UsageError(f"{FILE} cannot be read: {type(error).__name__}", hint=f"ls -l {FILE}")


def refuse_unknown(fields: Fields) -> None:
    """Raises: UsageError when the environment has an unknown setting, because a typing error would otherwise be
    ignored."""
    known = {variable(name) for name in fields} | _NOT_SETTINGS
    known |= {file_variable(name) for name, field in fields.items() if may_hold_secret(name, field)}
    if unknown := sorted(each for each in os.environ if each.upper().startswith(PREFIX) and each.upper() not in known):
        raise UsageError(
            f"{', '.join(unknown)}: there is no such setting",
            hint=f"{_near(unknown[0].upper(), known)}; to leave it out: unset {unknown[0]}",
        )


def _wrong(fields: Fields, named: list[tuple[str, str]]) -> UsageError:
    said = [_said(fields, name, why) for name, why in named]
    first = named[0][0]
    if first not in fields:
        return UsageError("\n       ".join(said), hint=_near(first, fields))
    return UsageError("\n       ".join(said), hint=_fix(first, fields[first]))


def _said(fields: Fields, name: str, why: str) -> str:
    if name not in fields:
        return f"{name} in {FILE}: there is no such setting" if name else "the settings contradict each other"
    form = " written as JSON" if why == "json" else ""
    return f"{named(name)} must be {kind(name, fields[name])}{form}"


def named(name: str) -> str:
    """A setting as a message names it: its variable, or the file that sets it."""
    where = origin(file_content(), name)
    return f"{name} in {FILE}" if where == FILE else where


def _fix(name: str, field: FieldInfo) -> str:
    if name in _TABLES:
        return example(name)
    default = field.get_default(call_default_factory=True)
    if typing.get_origin(field.annotation) is dict:
        of = {SecretStr: "KEY", date: "2024-01-31"}.get(typing.get_args(field.annotation)[1], "https://mirror.example")
        if set_in_environment(name):
            return f'export {variable(name)}=\'{{"bcb_sgs": "{of}"}}\''
        return f'a table in {FILE}: [{name}] and below it bcb_sgs = "{of}"'
    shown = "…" if default is None else str(default)
    if set_in_environment(name):
        return f"export {variable(name)}={shown}, or unset it"
    return f"in {FILE}: {name} = {shown if isinstance(default, int) else repr(shown)}"


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}?" if near else "correnteza config show lists all settings"


def origin(given: Mapping[str, Any], name: str) -> str:
    """Where a setting comes from: its variable, the file, or `default`; the names of an object may come from several.

    Args:
        given: the content of the file.
    """
    for where in (variable(name), file_variable(name)):
        if any(each.upper() == where for each in os.environ):
            return f"{where}, {FILE}" if isinstance(given.get(name), dict) else where
    return FILE if name in given else "default"
