"""A mapping as TOML, with what the file made somebody ask beside each column."""

import json
from collections.abc import Iterable, Iterator

from migration.inspect import Found
from producers.legacy.mapping import ROW


def toml(found: Found) -> str:
    """The proposed mapping; its comments say what to look at before it is used."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Found) -> Iterator[str]:
    mapping = found.mapping
    yield f"# {len(found.columns)} columns, {found.rows:,} rows, {found.bad_rows:,} more that cannot be cut into cells."
    if found.duplicates:
        yield f"# {found.duplicates:,} rows repeat another one in every value: only the key {ROW!r} keeps them apart."
    if found.not_utf8:
        yield f"# {found.not_utf8:,} lines are not UTF-8."
    yield from (f"# {note}." for note in found.notes)
    yield "# Look at each column, then: correnteza migrate plan MAPPING FILE"
    yield f"format = {mapping.format}"
    yield f"dataset = {_text(mapping.dataset)}"
    yield f"name = {_text(mapping.name)}  # by which the readers of the old system ask for it"
    yield f"kind = {_text(mapping.kind)}"
    if mapping.table is not None:
        yield f"table = {_text(mapping.table)}"
    else:
        yield f"encoding = {_text(mapping.encoding)}"
        yield f"delimiter = {_text(mapping.delimiter)}"
    yield f"key = {_list(mapping.key)}"
    if mapping.day is not None:
        yield f"day = {_text(mapping.day)}  # the day that a row describes; it could be known lag_days after that"
        yield f"lag_days = {mapping.lag_days}"
    for column, (survey, proposal) in zip(mapping.columns, found.columns, strict=True):
        yield ""
        yield "[[columns]]"
        yield from (f"# {each}." for each in proposal.suspicious)
        nulls = survey.absent + sum(survey.nulls.values())
        yield f"name = {_text(column.name)}" + (f"  # {nulls:,} of {survey.rows:,} are null" if nulls else "")
        yield f"field = {_text(column.field)}"
        yield f"type = {_text(column.type)}"
        if column.forms:
            yield f"forms = {_list(column.forms)}"
        if column.nulls != ("",):
            yield f"nulls = {_list(column.nulls)}"


def _text(value: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(values: Iterable[str]) -> str:
    return "[" + ", ".join(map(_text, values)) + "]"
