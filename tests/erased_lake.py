"""A lake in which one key is everywhere: published, withdrawn, set aside, rejected, undecodable."""

from datetime import UTC, datetime
from typing import Any

import pytest

from producers import poll, sources
from producers.model import Span
from replay.content import DATA
from stream_jobs.gold.job import GoldJob
from stream_jobs.gold.model import discover
from tests.pipeline import Pipeline
from tests.producers.served import ServedZip

STATIONS = "anatel_base_stations"
SOURCE = sources.load(STATIONS)
NOW = datetime(2025, 12, 1, 6, 30, tzinfo=UTC)
CONTRACTS = (STATIONS, "ingest.manifests", "ingest.rejects", "ingest.withdrawals", "ingest.redrives")
CANARY = "canario7f3a91c0e5"
KEY = f"license_row_id={CANARY}"
STATIC_TABLES = ("dim_date", "dim_municipality", "dim_economic_series", "dim_copom_meeting")
STATIC = tuple(f"gold.{name} = reference" for name in STATIC_TABLES)
"""Checks of tables that nothing here fills."""
GOLD = ("fact_base_stations",)
OTHERS = 6
"""Rows of other keys in each edition."""

_LINES = (DATA / "anatel" / "csv_natal_licenciamento_nr.csv").read_bytes().splitlines()
_NAMES = _LINES[0].decode().split(",")


def line(number: int, **changes: str) -> bytes:
    """A row of the real export, with some columns changed."""
    values = _LINES[number].decode("cp1252").split(",")
    assert len(values) == len(_NAMES), "a row without quotes"
    for name, text in changes.items():
        values[_NAMES.index(name)] = text
    return ",".join(values).encode("cp1252")


def member(*lines: bytes, height: int = 30) -> bytes:
    plain = [number for number in range(2, 100) if _LINES[number].count(b",") == len(_NAMES) - 1][:OTHERS]
    others = [line(number, AlturaAntena=str(height)) for number in plain]
    return b"\n".join([_LINES[0], *others, *lines, b""])


def of_key(**changes: str) -> bytes:
    return line(1, **{"_id": CANARY, "NomeEntidade": f"FULANO {CANARY}", **changes})


EDITIONS = (
    member(of_key()),
    member(height=31),
    member(of_key(AlturaAntena="77"), of_key(AlturaAntena="78"), of_key(Latitude="norte"), height=33),
)
"""The key is published, withdrawn, and published again beside a row that contradicts it, and one that is rejected."""


def jobs(pipeline: Pipeline) -> list[Any]:
    gold = [GoldJob(discover()[name], pipeline.driver) for name in GOLD]
    return [*(pipeline.bronze(name) for name in CONTRACTS), pipeline.silver(STATIONS), *gold]


def publish(pipeline: Pipeline, httpserver: Any, served: ServedZip, body: bytes, days: int) -> None:
    home = pipeline.settings
    target = poll.Services(home.bootstrap, home.registry, home.topic_prefix, home.archive_root, spool=home.spool)
    served.put({"estacoes.csv": body}, days=days)
    span = Span(SOURCE.history_start)
    outcome = poll.poll(SOURCE, target, now=lambda: NOW, base_url=httpserver.url_for("/"), span=span)
    assert outcome.error is None, outcome.error


@pytest.fixture
def served(httpserver) -> ServedZip:
    return ServedZip(httpserver, "/outorga_e_licenciamento/estacoes_smp.zip")


@pytest.fixture
def planted(pipeline, httpserver, served) -> Pipeline:
    """Every layer has the key; the tables' locks are free."""
    pipeline.declare(*CONTRACTS, "ingest.cursors")
    first, *later = EDITIONS
    publish(pipeline, httpserver, served, first, 0)
    pipeline.run(*jobs(pipeline))
    for days, body in enumerate(later, 1):
        publish(pipeline, httpserver, served, body, days)
    pipeline.send(STATIONS, [(CANARY.encode(), b"\x01" + CANARY.encode())])
    pipeline.run(*jobs(pipeline))
    pipeline.driver.locks.release()
    assert pipeline.rows("silver.quarantine")
    found = pipeline.contradictions(*CONTRACTS, without=STATIC)
    assert found == {}, found
    return pipeline
