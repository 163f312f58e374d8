"""Compare the bytes that a source served with Kafka and bronze: every row of every edition, counted and keyed.

A producer that skips rows after a kill may continue with complete chunks and correct manifests, so that only a
comparison with the served bytes finds the loss. Nothing here is shared with the pipeline. An oracle returns the
contradictions as texts; an empty list means that all is right.
"""

import io
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import fastavro

from tests import oracles
from tests.lake_oracles import table

DATASET = "inmet_hourly"
STATION, HEADER_LINES = b"CODIGO (WMO):;", 9
SHOWN = 3

Hour = tuple[str, datetime]
"""Station and hour, UTC: the key of a row."""

Held = tuple[str, Hour, float | None]
"""A row as Kafka or bronze has it: its chunk, its key, and its rain in mm."""


@dataclass
class Manifests:
    """The content of manifests and rejects. They only give a chunk's edition; its content is counted from the rows.

    Attributes:
        clock_of: chunk → the publication clock of its payload.
        finished: clocks of the editions whose last chunk is published.
        rejected: rows that were rejected, by clock.
    """

    clock_of: dict[str, datetime] = field(default_factory=dict)
    finished: set[datetime] = field(default_factory=set)
    rejected: Counter[datetime | None] = field(default_factory=Counter)


def served_rows(body: bytes) -> dict[Hour, float | None]:
    """The rows of INMET's year: a zip of one CSV per station, which begins with some lines about the station."""
    found = {}
    with zipfile.ZipFile(io.BytesIO(body)) as members:
        for name in members.namelist():
            lines = members.read(name).splitlines()
            (station,) = (line[len(STATION) :].decode() for line in lines[:HEADER_LINES] if line.startswith(STATION))
            for line in lines[HEADER_LINES:]:
                day, hour, rain, *_ = line.decode("latin-1").split(";")
                at = datetime.strptime(f"{day} {hour}", "%Y/%m/%d %H%M %Z").replace(tzinfo=UTC)
                found[station, at] = float(rain.replace(",", ".")) if rain else None
    return found


def not_as_served(served: Mapping[datetime, bytes], bootstrap: str, prefix: str, lake: Path | None = None) -> list[str]:
    """Rows that an edition had and Kafka or bronze has not, has twice, or has otherwise.

    Args:
        served: Last-Modified → the year's zip, of every edition that a poll has seen. The newest one may be under way:
            it is judged once its last chunk is published.
        lake: whose bronze is judged too; None for Kafka alone.
    """
    manifests = _manifests(bootstrap, prefix)
    found = different(served, _in_kafka(bootstrap, prefix), manifests, where="Kafka")
    return found if lake is None else found + different(served, _in_bronze(lake), manifests, where="bronze")


def different(served: Mapping[datetime, bytes], rows: Iterable[Held], manifests: Manifests, *, where: str) -> list[str]:
    """The comparison of `not_as_served`, of rows that were read already."""
    held: dict[datetime | None, Counter[tuple[Hour, float | None]]] = defaultdict(Counter)
    for chunk_id, hour, rain in rows:
        held[manifests.clock_of.get(chunk_id)][hour, rain] += 1
    found = [f"{where} holds rows of an edition of {clock} that nobody served" for clock in held.keys() - served.keys()]
    for number, clock in enumerate(sorted(served), 1):
        if number == len(served) and clock not in manifests.finished:
            continue
        wanted, own = Counter(served_rows(served[clock]).items()), held[clock]
        missing, more = list((wanted - own).elements()), list((own - wanted).elements())
        # What was rejected stands elsewhere, under no key.
        if len(missing) > manifests.rejected[clock]:
            found.append(f"{where} lacks {len(missing)} of {wanted.total()} rows of {_edition(clock, missing)}")
        if more:
            found.append(f"{where} holds {len(more)} rows too many of {_edition(clock, more)}")
    return found


def _edition(clock: datetime, rows: list[tuple[Hour, float | None]]) -> str:
    shown = ", ".join(
        f"{station} {at:%Y-%m-%d %H:%M}" for (station, at), _ in sorted(rows, key=lambda row: row[0])[:SHOWN]
    )
    return f"the edition of {clock:%Y-%m-%d %H:%M:%S}: {shown}{' ...' if len(rows) > SHOWN else ''}"


def _manifests(bootstrap: str, prefix: str) -> Manifests:
    found = Manifests()
    for record in oracles.read(bootstrap, prefix, "ingest.manifests"):
        found.clock_of[record.fields["chunk_id"]] = record.fields["published_at"]
        if record.fields["is_last_of_part"]:
            found.finished.add(record.fields["published_at"])
    for record in oracles.read(bootstrap, prefix, "ingest.rejects"):
        found.rejected[found.clock_of.get(record.fields["chunk_id"])] += 1
    return found


def _in_kafka(bootstrap: str, prefix: str) -> Iterator[Held]:
    schema = oracles.schema_of(DATASET)
    for _, _, _, value in oracles.messages(bootstrap, prefix, DATASET):
        try:
            fields = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
        except Exception:
            continue  # undecodable; such a row counts as missing
        yield fields["chunk_id"], (fields["station_code"], fields["observed_at"]), fields["rain_mm"]


def _in_bronze(lake: Path) -> Iterator[Held]:
    rows = table(lake, f"bronze.{DATASET}", ["decode_status", "record"])
    if rows is None:
        return
    query = """SELECT record.chunk_id, record.station_code, record.observed_at, record.rain_mm FROM rows
        WHERE decode_status = 'ok'"""
    for chunk_id, station, at, rain in duckdb.sql(query).fetchall():
        yield chunk_id, (station, at.astimezone(UTC)), rain
