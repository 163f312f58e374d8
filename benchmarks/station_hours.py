"""A steady load of station-hours: all stations report one hour, then the next."""

import random
import time
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Any

import fastavro
from confluent_kafka import Producer

from correnteza.settings import Settings
from schemas.contracts import load, load_all
from schemas.registry import Registry

ROWS_PER_SECOND = 1_000
STATIONS = 600
TICK_SECONDS = 0.02
FIRST_HOUR = datetime(2021, 1, 1, 3, tzinfo=UTC)


class Load:
    """Produces at a fixed rate; each record carries the instant of its produce call as `published_at`."""

    def __init__(self, settings: Settings, rate: int = ROWS_PER_SECOND) -> None:
        """Args: rate: rows a second."""
        contracts = {name: load(name) for name in ("inmet_hourly", "inmet_stations")}
        ids = Registry(settings.registry).register(load_all().values(), "")
        self._schemas = {name: fastavro.parse_schema(each.schema) for name, each in contracts.items()}
        self._headers = {name: b"\x00" + ids[name].to_bytes(4, "big") for name in contracts}
        self._topics = {name: each.topic for name, each in contracts.items()}
        self._producer = Producer(
            {"bootstrap.servers": settings.bootstrap, "linger.ms": 5, "partitioner": "murmur2_random"}
        )
        self._random = random.Random(7)
        self._next = 0
        self._rate = rate

    def stations(self) -> None:
        """The metadata of every station."""
        for number in range(STATIONS):
            self._send(
                "inmet_stations",
                f"{_code(number)}|2021-01-01",
                {"station_code": _code(number), "valid_from_on": date(2021, 1, 1), "uf": "SP"},
                number,
            )
        self._producer.flush()

    def fill(self, rows: int) -> None:
        """So many rows, as fast as it goes."""
        for number in range(rows):
            self._hour()
            if number % 1_000 == 0:
                self._producer.flush()
        self._producer.flush()

    def run(self, seconds: int) -> tuple[int, int]:
        """Keep the rate up; returns the produce times of the first and the last row, microseconds since 1970."""
        began, first = time.monotonic(), _now()
        sent = 0
        while sent < seconds * self._rate:
            due = min(int((time.monotonic() - began) * self._rate), seconds * self._rate)
            for _ in range(due - sent):
                self._hour()
            sent = due
            self._producer.poll(0)
            time.sleep(TICK_SECONDS)
        last = self._last
        self._producer.flush()
        return first, last

    def _hour(self) -> None:
        station, hour = self._next % STATIONS, self._next // STATIONS
        observed_at = FIRST_HOUR + timedelta(hours=hour)
        values = _weather(self._random)
        key = {"station_code": _code(station), "observed_at": observed_at}
        self._last = self._send("inmet_hourly", f"{_code(station)}|{observed_at:%FT%TZ}", {**key, **values}, self._next)
        self._next += 1

    def _send(self, name: str, key: str, record: dict[str, Any], row_number: int) -> int:
        now = _now()
        instant = datetime.fromtimestamp(now / 1e6, UTC)
        provenance = {
            "published_at": instant,
            "published_at_basis": "api_field",
            "retrieved_at": instant,
            "chunk_id": f"latency-{row_number // 20_000}",
            "row_number": row_number,
        }
        value = BytesIO(self._headers[name])
        value.seek(5)
        fastavro.schemaless_writer(value, self._schemas[name], {**record, **provenance})
        self._producer.produce(self._topics[name], value.getvalue(), key.encode())
        return now


def _weather(choose: random.Random) -> dict[str, float]:
    """The values of one hour, plausible enough to break no expectation."""
    temperature, humidity, wind = (
        choose.randrange(150, 350) / 10,
        choose.randrange(30, 95),
        choose.randrange(0, 100) / 10,
    )
    return {
        "rain_mm": 0.0,
        "pressure_hpa": 925.0,
        "pressure_max_hpa": 925.4,
        "pressure_min_hpa": 924.8,
        "global_radiation_kj_m2": float(choose.randrange(0, 4000)),
        "air_temperature_celsius": temperature,
        "air_temperature_max_celsius": temperature + 0.5,
        "air_temperature_min_celsius": temperature - 0.5,
        "dew_point_celsius": temperature - 5,
        "dew_point_max_celsius": temperature - 4.5,
        "dew_point_min_celsius": temperature - 5.5,
        "relative_humidity_percent": float(humidity),
        "relative_humidity_max_percent": float(humidity + 2),
        "relative_humidity_min_percent": float(humidity - 2),
        "wind_direction_degrees": float(choose.randrange(1, 361)),
        "wind_gust_m_s": wind + 2,
        "wind_speed_m_s": wind,
    }


def _code(number: int) -> str:
    return f"A{number:03d}"


def _now() -> int:
    return time.time_ns() // 1_000
