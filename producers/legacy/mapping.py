"""The mapping of one input: what its columns are called, which types they have, and how their values are written."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from foundation.errors import UsageError

FILE, ROW, PROVENANCE = "legacy_file", "legacy_row", "provenance"
"""Fields that every migrated row has: the file's name, the row's place in it, and where the values come from."""
OWN_FIELDS = (FILE, ROW, PROVENANCE)
UNVERIFIED = "legacy_unverified"
"""The provenance of every migrated row: nobody measured again what it says."""

DATASET_PREFIX = "legacy_"
_DATASET = re.compile(r"legacy_[a-z][a-z0-9_]{0,60}")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,120}")
_DECIMAL = re.compile(r"decimal\(([1-9][0-9]?),([0-9]{1,2})\)")
_RESERVED = {*OWN_FIELDS, "published_at", "published_at_basis", "retrieved_at", "chunk_id", "row_number", "known_from"}
_RESERVED |= {"kafka_partition", "kafka_offset", "version_hash", "is_withdrawn", "message_key"}

NUMBER_FORMS = ("plain", "brazilian")
DAY_FORMS = ("iso", "brazilian", "epoch_seconds", "epoch_milliseconds")
FORMS = {
    "text": (),
    "boolean": (),
    "int": NUMBER_FORMS,
    "real": NUMBER_FORMS,
    "decimal": NUMBER_FORMS,
    "day": DAY_FORMS,
    "instant": DAY_FORMS,
}
"""Kind of a type → how its values may be written, the usual form first."""

Encoding = Literal["utf-8", "utf-16", "cp1252", "latin-1"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Strict):
    """One column of the file.

    Attributes:
        name: as in the file.
        field: the same in topic and tables: ASCII letters, digits and `_`.
        type: text, int, real, boolean, day, instant or decimal(precision,scale).
        forms: how its values are written, as `FORMS` lists them; none is the first of them.
        nulls: texts that mean "no value".
    """

    name: str
    field: str
    type: str
    forms: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ("",)

    @field_validator("field")
    @classmethod
    def _plain(cls, field: str) -> str:
        if not _FIELD.fullmatch(field) or field in _RESERVED:
            raise ValueError(f"{field!r} cannot be the name of a field: letters, digits and _, none of our own names")
        return field

    @model_validator(mode="after")
    def _known(self) -> "Column":
        if self.kind not in FORMS:
            raise ValueError(f"{self.type!r} is no type: {', '.join(FORMS)}, with decimal as decimal(precision,scale)")
        if unknown := set(self.forms) - set(FORMS[self.kind]):
            raise ValueError(
                f"{sorted(unknown)[0]!r} is no form of {self.kind}: {', '.join(FORMS[self.kind]) or 'none'}"
            )
        if self.kind == "decimal":
            precision, scale = self.digits
            if not scale <= precision <= 38:
                raise ValueError(f"{self.type} does not fit: at most 38 digits, at least as many as decimals")
        return self

    @property
    def kind(self) -> str:
        """The type without its digits."""
        return "decimal" if _DECIMAL.fullmatch(self.type) else self.type

    @property
    def digits(self) -> tuple[int, int]:
        """Precision and scale of a decimal."""
        match = _DECIMAL.fullmatch(self.type)
        assert match
        return int(match[1]), int(match[2])


class Mapping(_Strict):
    """How the rows of some files of one form are read.

    Attributes:
        format: version of the mapping file.
        dataset: name of topic and tables: `legacy_` and more.
        name: by which readers of the old system ask for the table.
        kind: what the files are.
        table: of a SQLite file.
        encoding, delimiter: of a CSV file.
        time_zone: of instants that name none.
        key: fields that identify a row within its file; of a table without such, its place alone.
        day: field with the day that a row describes; then `lag_days` after it is when the row could be known.
    """

    format: Literal[1] = 1
    dataset: str
    name: str
    kind: Literal["sqlite", "csv"]
    table: str | None = None
    encoding: Encoding = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    time_zone: str = "UTC"
    key: tuple[str, ...] = (ROW,)
    day: str | None = None
    lag_days: Annotated[int, Field(ge=0, le=3660)] = 1
    columns: tuple[Column, ...]

    @model_validator(mode="after")
    def _whole(self) -> "Mapping":
        if not _DATASET.fullmatch(self.dataset):
            raise ValueError(f"dataset {self.dataset!r}: `legacy_`, then small letters, digits and _")
        if (self.kind == "sqlite") != (self.table is not None):
            raise ValueError("a SQLite file needs `table`, a CSV file has none")
        for what, names in (
            ("name", [c.name for c in self.columns]),
            ("field", [c.field.lower() for c in self.columns]),
        ):
            if twice := sorted({each for each in names if names.count(each) > 1}):
                raise ValueError(f"two columns have the {what} {twice[0]!r}")
        fields = {column.field: column for column in self.columns}
        if unknown := [each for each in self.key if each != ROW and each not in fields]:
            raise ValueError(f"key {unknown[0]!r} is no field")
        if not self.key:
            raise ValueError(f"the key is empty; a row's place is {ROW!r}")
        if self.day is not None and (self.day not in fields or fields[self.day].kind not in {"day", "instant"}):
            raise ValueError(f"day {self.day!r} is no field of days or instants")
        return self

    def column(self, field: str) -> Column:
        """The column of a field. Raises: KeyError."""
        return {column.field: column for column in self.columns}[field]


def read(text: str, where: str) -> Mapping:
    """A mapping from its TOML. Raises: UsageError that says what is wrong with it. Args: where: for the message."""
    try:
        return of(tomllib.loads(text), where)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"{where} is no TOML: {error}", hint="correnteza migrate inspect FILE > mapping.toml"
        ) from None


def of(values: dict[str, Any], where: str) -> Mapping:
    """A mapping from its values. Raises: UsageError."""
    try:
        return Mapping.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        said = str(first["msg"]).removeprefix("Value error, ")
        raise UsageError(f"{where}: {f'{place}: ' if place else ''}{said}", hint="docs/migration.md") from None


def load(file: Path) -> Mapping:
    """A mapping from its file. Raises: UsageError."""
    try:
        return read(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"cannot read {file}: {error}", hint="correnteza migrate inspect FILE > mapping.toml"
        ) from None
