"""A small lake of one station, three series and two providers, written with delta-rs; and a Kafka with its records.

`Kit` writes what a correct pipeline would have written. A test then damages one thing and runs a check.
"""

import atexit
import json
import shutil
from collections import defaultdict
from contextlib import ExitStack
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import fastavro
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from foundation.rowhash import format_hash, row_hash, value_hash
from monitoring.lag.kafka import Bounds, Topic
from monitoring.lake import Lake
from monitoring.proof.checks.gold_definition import reference_tables
from monitoring.proof.checks.gold_sql import DEFINITIONS
from monitoring.proof.checks.model import Evidence, Rule, TopicState
from schemas.arrow import arrow_schema
from schemas.contracts import PROVENANCE, load, load_all

REFERENCE = Path(__file__).parents[2] / "stream_jobs" / "reference"
RULES = {"bcb_sgs": (Rule("value_below_100", "value < 100"),)}
BEGIN = datetime(2026, 11, 20, 12, tzinfo=UTC)
TOPIC_ID = "topic-1"
WITHDRAWALS = "ingest.withdrawals"


SCHEMA_IDS = {name: number for number, name in enumerate(load_all(), 1)}


def _writer(contract):
    """The contract's schema with every field nullable: the kit's records say only what a test is about."""
    schema = deepcopy(contract.schema)
    for field in schema["fields"]:
        field["type"] = field["type"] if isinstance(field["type"], list) else ["null", field["type"]]
    return schema


WRITERS = {name: _writer(contract) for name, contract in load_all().items()}


def framed(contract, record):
    """A record's bytes, framed as the registry's clients do it."""
    body = BytesIO()
    known = {name: dict(value) if isinstance(value, list) else value for name, value in record.items()}
    fastavro.schemaless_writer(body, WRITERS[contract], known)
    return b"\0" + SCHEMA_IDS[contract].to_bytes(4) + body.getvalue()


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class FakeMessage:
    def __init__(self, offset, key, value, kafka_at):
        self._offset, self._key, self._value, self._at = offset, key, value, kafka_at

    def key(self):
        return self._key

    def timestamp(self):
        return 1, int(self._at.timestamp() * 1000)

    def offset(self):
        return self._offset

    def value(self):
        return self._value


class FakeCluster:
    """The methods of a cluster that the checks of bronze use."""

    def __init__(self, messages):
        self.messages = messages

    def read(self, topic, partition, start, end):
        yield [each for each in self.messages[topic] if start <= each.offset() < end]

    def read_at(self, places):
        return {
            (topic, partition, each.offset()): each
            for (topic, partition), offsets in places.items()
            for each in self.messages[topic]
            if each.offset() in offsets
        }


class Kit:
    """Published records, and the lake that follows from them."""

    def __init__(self, root):
        self.lake = root / "lake"
        self.checkpoints = root / "checkpoints"
        self.messages = defaultdict(list)  # topic → messages
        self.bronze = defaultdict(list)  # contract name → rows
        self.rejected = 0
        self._chunk = 0

    def path(self, name):
        return self.lake / name.replace(".", "/")

    def publish(self, dataset, *records, rejects=0, kafka_at=BEGIN, **manifest):
        """One chunk: its records and its manifest, each topic leaving a transaction marker behind.

        `manifest` holds what the manifest says beside or in place of the usual.
        """
        self._chunk += 1
        chunk_id = f"chunk-{self._chunk}"
        contract = load(dataset)
        total = 0
        for number, record in enumerate(records):
            whole = dict.fromkeys(contract.fields) | {
                "published_at": None, "published_at_basis": "none", "retrieved_at": kafka_at,
                "chunk_id": chunk_id, "row_number": number,
            } | record  # fmt: skip
            key = "|".join(str(whole[name]) for name in contract.key).encode()
            value = framed(dataset, whole)
            total += row_hash(key, value)
            self.append_record(dataset, key, value, whole, kafka_at)
        for number in range(rejects):
            self.append_framed("ingest.rejects", b"k", {
                "source": dataset, "dataset": dataset, "chunk_id": chunk_id, "row_number": 100 + number,
                "reason": "bad_number", "detail": None, "raw": b"x", "payload_sha256": "0" * 64,
                "retrieved_at": kafka_at,
            }, kafka_at)  # fmt: skip
        self._receipt(
            chunk_id, dataset, kafka_at, datasets={dataset: len(records)}, total=total, rejects=rejects, **manifest
        )
        return chunk_id

    def append_framed(self, contract, key, record, kafka_at):
        """A record under the bytes that its contract gives it. Returns: its row hash."""
        value = framed(contract, dict.fromkeys(load(contract).fields) | record)
        self.append_record(contract, key, value, record, kafka_at)
        return row_hash(key, value)

    def append_record(self, contract, key, value, record, kafka_at):
        topic = load(contract).topic
        offset = len(self.messages[topic]) + len(self.bronze[contract]) // 2  # gaps, as after transaction markers
        hashed = value_hash(value)
        self.messages[topic].append(FakeMessage(offset, key, value, kafka_at))
        self.bronze[contract].append({
            "topic_id": TOPIC_ID, "topic": topic, "partition": 0, "offset": offset, "kafka_timestamp": kafka_at,
            "key": key, "schema_id": SCHEMA_IDS[contract],
            "value_hash": hashed - (1 << 64) if hashed >> 63 else hashed,
            "decode_status": "ok", "record": record, "value": None,
            "year": kafka_at.year, "month": kafka_at.month, "day": kafka_at.day,
        })  # fmt: skip

    @staticmethod
    def bronze_row(topic, partition, message, record):
        """A bronze row of a real record."""
        hashed = value_hash(message.value())
        kafka_at = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
        return {
            "topic_id": topic.topic_id, "topic": topic.name, "partition": partition, "offset": message.offset(),
            "kafka_timestamp": kafka_at, "key": message.key(), "schema_id": int.from_bytes(message.value()[1:5]),
            "value_hash": hashed - (1 << 64) if hashed >> 63 else hashed, "decode_status": "ok", "record": record,
            "value": None, "year": kafka_at.year, "month": kafka_at.month, "day": kafka_at.day,
        }  # fmt: skip

    def write(self):
        """Bronze, silver and gold, complete and right."""
        for contract, rows in self.bronze.items():
            self.write_bronze(contract, rows)
        quarantined = []
        for dataset in self.bronze:
            if load(dataset).is_dataset:
                quarantined += self.write_silver(dataset)
        self.write_quarantine(quarantined, mode="overwrite")
        self.write_gold()
        self.write_schemas({SCHEMA_IDS[name]: WRITERS[name] for name in SCHEMA_IDS})
        return self

    def write_schemas(self, writers):
        """`ops.schemas`. Args: writers: schema id → schema, parsed."""
        rows = [{"schema_id": number, "schema": json.dumps(schema)} for number, schema in writers.items()]
        schema = pa.schema([("schema_id", pa.int64()), ("schema", pa.string())])
        write_deltalake(str(self.path("ops.schemas")), pa.Table.from_pylist(rows, schema), mode="overwrite")

    def write_bronze(self, contract, rows, mode="overwrite"):
        record = pa.struct([field.with_nullable(True) for field in arrow_schema(load(contract))])
        schema = pa.schema([
            ("topic_id", pa.string()), ("topic", pa.string()), ("partition", pa.int32()), ("offset", pa.int64()),
            ("kafka_timestamp", pa.timestamp("us", "UTC")), ("key", pa.binary()), ("schema_id", pa.int64()),
            ("value_hash", pa.int64()), ("decode_status", pa.string()), ("record", record), ("value", pa.binary()),
            ("year", pa.int32()), ("month", pa.int32()), ("day", pa.int32()),
        ])  # fmt: skip
        path = self.path(f"bronze.{contract.replace('.', '_')}")
        table = pa.Table.from_pylist(rows, schema)
        write_deltalake(str(path), table, mode=mode, partition_by=["year", "month", "day"])

    def _receipt(self, chunk_id, source, kafka_at, *, datasets, total, rejects=0, **manifest):
        """A chunk's manifest."""
        rows = sum(count for name, count in datasets.items() if name != WITHDRAWALS)
        self.append_framed("ingest.manifests", chunk_id.encode(), {
            "chunk_id": chunk_id, "source": source, "slot_id": "s", "payload_sha256": "0" * 64, "payload_bytes": 1,
            "part": "p", "first_row": 0, "rows_published": rows, "rows_rejected": rejects,
            "row_hash": format_hash(total), "datasets": list(datasets.items()),
            "schema_ids": [(name, 1) for name in datasets], "is_last_of_part": True, "published_at": None,
            "retrieved_at": kafka_at, "code_version": "0",
        } | manifest, kafka_at)  # fmt: skip

    def withdraw(self, dataset, *keys, kafka_at=BEGIN, published_at=None):
        """An edition's withdrawals. Args: keys: of the dataset, fields as text by name; null ones absent."""
        self._chunk += 1
        total = 0
        for number, key in enumerate(keys):
            text = "|".join(key.get(name, "") for name in load(dataset).key)
            total += self.append_framed(WITHDRAWALS, f"{dataset}|{text}".encode(), {
                "dataset": dataset, "key": text, "key_fields": list(key.items()), "source": dataset, "resource": "r",
                "part": "p", "edition": 2, "payload_sha256": "0" * 64, "published_at": published_at,
                "published_at_basis": "none", "retrieved_at": kafka_at, "chunk_id": f"chunk-{self._chunk}",
                "row_number": number,
            }, kafka_at)  # fmt: skip
        self._receipt(f"chunk-{self._chunk}", dataset, kafka_at, datasets={WITHDRAWALS: len(keys)}, total=total)

    def rows_of(self, dataset):
        """Records and withdrawals of a dataset in the order in which they are applied, with their keys."""
        contract = load(dataset)
        types = {field.name: field.type for field in arrow_schema(contract)}
        found = []
        for row in self.bronze[dataset]:
            found.append((row["record"], row["offset"], False))
        for row in self.bronze.get(WITHDRAWALS, ()):
            told = row["record"]
            if told["dataset"] == dataset:
                texts = dict(told["key_fields"])
                record = dict.fromkeys(contract.fields) | {name: told[name] for name in PROVENANCE}
                record |= {name: _value(texts.get(name), types[name]) for name in contract.key}
                found.append((record, row["offset"], True))
        return sorted(found, key=lambda each: (_known(each[0]), each[2], each[1]))

    def versions(self, dataset):
        """What revisions and quarantine hold, by the rules, in plain Python."""
        contract = load(dataset)
        newest, standing, kept, quarantined = {}, {}, [], []
        for record, offset, is_withdrawn in self.rows_of(dataset):
            key = tuple(record[name] for name in contract.key)
            values = None if is_withdrawn else tuple(record[name] for name in contract.value_fields)
            place = {"known_from": _known(record), "kafka_partition": 0, "kafka_offset": offset}
            rules = ["value_below_100"] if dataset == "bcb_sgs" and (record["value"] or 0) >= 100 else []
            is_first = standing.get(key, (None,))[0] != place["known_from"]
            if not rules and not is_first and not is_withdrawn and standing[key][1] != values:
                rules = ["conflicting_version"]
            if rules:
                quarantined.append(
                    {
                        "dataset": dataset,
                        "key": str(key),
                        "rules": rules,
                        "record": "{}",
                        "topic": load(dataset).topic,
                        "topic_id": TOPIC_ID,
                        "chunk_id": record["chunk_id"],
                        **place,
                    }
                )
            elif is_first:
                standing[key] = (place["known_from"], values)
                if newest.get(key) != values:
                    newest[key] = values
                    kept.append(record | place | {"version_hash": 1, "is_withdrawn": is_withdrawn})
        return kept, quarantined

    def silver_schema(self, dataset):
        fields = [field.with_nullable(True) for field in arrow_schema(load(dataset))]
        return pa.schema([*fields, ("known_from", pa.timestamp("us", "UTC")), ("kafka_partition", pa.int32()),
                          ("kafka_offset", pa.int64()), ("version_hash", pa.int64()),
                          ("is_withdrawn", pa.bool_())])  # fmt: skip

    def write_silver(self, dataset):
        contract = load(dataset)
        kept, quarantined = self.versions(dataset)
        current = {tuple(row[name] for name in contract.key): row for row in kept}
        standing = [row for row in current.values() if not row["is_withdrawn"]]
        revisions = pa.Table.from_pylist(kept, self.silver_schema(dataset))
        now = pa.Table.from_pylist(standing, self.silver_schema(dataset)).drop_columns(["is_withdrawn"])
        for table, rows in ((f"{dataset}_revisions", revisions), (dataset, now)):
            write_deltalake(str(self.path(f"silver.{table}")), rows, mode="overwrite")
        return quarantined

    def write_quarantine(self, rows, mode="append"):
        schema = pa.schema([
            ("dataset", pa.string()), ("key", pa.string()), ("rules", pa.list_(pa.string())), ("record", pa.string()),
            ("known_from", pa.timestamp("us", "UTC")), ("topic", pa.string()), ("kafka_partition", pa.int32()),
            ("kafka_offset", pa.int64()), ("chunk_id", pa.string()), ("topic_id", pa.string()),
        ])  # fmt: skip
        table = pa.Table.from_pylist(rows, schema)
        write_deltalake(str(self.path("silver.quarantine")), table, mode=mode, partition_by=["dataset"])

    def write_gold(self):
        lake = Lake(self.lake, holds_small_tables=True)
        lake.connection.execute(reference_tables(str(REFERENCE)))
        for definition in DEFINITIONS:
            if lake.has(*(f"silver.{dataset}_revisions" for dataset in definition.datasets)):
                path = self.path(f"gold.{definition.table}")
                write_deltalake(str(path), lake.sql(definition.query), mode="overwrite")

    def evidence(self, *, since=None, committed=None, oldest_unread_at=None, progress=None):
        """The input of the checks; by default Kafka has exactly what was published."""
        topics = {}
        for name, contract in load_all().items():
            messages = self.messages.get(contract.topic, [])
            if not messages:
                continue
            stable = messages[-1].offset() + 2  # a marker stands at the end
            topics[name] = TopicState(
                topic=Topic(contract.topic, TOPIC_ID, {0: Bounds(0, stable)}),
                committed={0: stable} if committed is None or name not in committed else committed[name],
                oldest_unread_at=(oldest_unread_at or {}).get(name),
                reads_since={},
            )
        contracts = {name: contract for name, contract in load_all().items() if not contract.compacted}
        return Evidence(
            lake=Lake(self.lake, holds_small_tables=True), contracts=contracts, rules=RULES, topics=topics,
            progress=progress or {}, since=since, reference=REFERENCE,
        )  # fmt: skip

    @property
    def cluster(self):
        return FakeCluster(self.messages)

    def change(self, table, **updates):
        """UPDATE by column → SQL expression; `where` picks the rows."""
        where = updates.pop("where", None)
        DeltaTable(str(self.path(table))).update(updates, predicate=where)

    def change_struct(self, table, field, expression):
        """UPDATE one field of `record`."""
        record = pa.schema(DeltaTable(str(self.path(table))).schema().to_arrow()).field("record").type
        names = [each.name for each in record]
        parts = ", ".join(f"'{name}', " + (expression if name == field else f"record['{name}']") for name in names)
        self.change(table, record=f"named_struct({parts})")

    def delete(self, table, where):
        DeltaTable(str(self.path(table))).delete(where)

    def rows(self, table, where):
        """Rows to keep aside, or to append once more."""
        return Lake(self.lake).sql(f"FROM {table} WHERE {where}")

    def append(self, table, rows):
        write_deltalake(str(self.path(table)), rows, mode="append")

    def append_revisions(self, dataset, rows):
        table = pa.Table.from_pylist(rows, self.silver_schema(dataset))
        self.append(f"silver.{dataset}_revisions", table)

    def double(self, table, where):
        """Append the rows a second time."""
        self.append(table, self.rows(table, where))

    def copy_to(self, root):
        """The same lake elsewhere, to break."""
        shutil.copytree(self.lake.parent, root, dirs_exist_ok=True)
        other = Kit(root)
        other.messages, other.bronze, other._chunk = deepcopy(self.messages), deepcopy(self.bronze), self._chunk
        return other

    def remove_a_file(self, table):
        """Delete a data file below a table, behind Delta's back."""
        snapshot = Lake(self.lake).snapshots[table]
        name = sorted(snapshot.files)[0]
        (snapshot.path / name).unlink()
        return name


def _value(text, kind):
    """A field of a key from its text."""
    if text is None or pa.types.is_string(kind):
        return text
    if pa.types.is_timestamp(kind):
        return datetime.fromisoformat(text)
    if pa.types.is_date(kind):
        return date.fromisoformat(text)
    return Decimal(text) if pa.types.is_decimal(kind) else int(text)


def _known(record):
    return record["published_at"] or record["retrieved_at"]


def hour(observed_at, temperature=20.0, rain=0.0, station="A401", **fields):
    return {
        "station_code": station, "observed_at": observed_at, "air_temperature_celsius": temperature,
        "air_temperature_max_celsius": temperature, "air_temperature_min_celsius": temperature, "rain_mm": rain,
        "relative_humidity_percent": 90.0, **fields,
    }  # fmt: skip


def value(series, on, number, published_at=None):
    return {"series_code": series, "reference_on": on, "value": Decimal(str(number)), "published_at": published_at}


def accesses(month, number, cnpj="1" * 14):
    return {
        "reference_month_on": month,
        "cnpj": cnpj,
        "municipality_code": "2927408",
        "technology": "FTTH",
        "accesses": number,
    }


def small_lake(root):
    """Two days of Salvador with a correction, 41 of dollar, a year of IPCA, two providers; a reject, a bad value.

    It is written once in this process; each caller gets a copy.
    """
    return _small_lake().copy_to(root)


_kept = ExitStack()
atexit.register(_kept.close)


@cache
def _small_lake():
    kit = Kit(Path(_kept.enter_context(TemporaryDirectory(prefix="small-lake"))))
    station = {"station_code": "A401", "valid_from_on": date(2024, 1, 1), "uf": "BA", "name": "SALVADOR"}
    kit.publish("inmet_stations", station)
    begin = at("2024-03-04T03:00:00")  # midnight in Salvador
    hours = [hour(begin + timedelta(hours=n), 25 + n % 12, rain=2.5) for n in range(48)]
    kit.publish("inmet_hourly", *hours, rejects=1)
    kit.publish("inmet_hourly", hour(begin, 36.5, rain=2.5), kafka_at=BEGIN + timedelta(hours=1))
    days = [date(2024, 1, 25) + timedelta(days=n) for n in range(41)]
    kit.publish("bcb_sgs", *(value(1, on, f"5.{n:02}", at(f"{on}T20:00:00")) for n, on in enumerate(days)))
    kit.publish("bcb_sgs", value(432, days[-1], "10.75", at("2024-03-04T12:00:00")))
    months = [date(2023, month, 1) for month in range(2, 13)] + [date(2024, 1, 1)]
    kit.publish("bcb_sgs", *(value(433, on, "0.5", at(f"{on}T12:00:00") + timedelta(days=45)) for on in months))
    kit.publish("bcb_sgs", value(1, date(2024, 3, 6), "500"))  # breaks the rule
    kit.publish(
        "anatel_broadband_accesses",
        accesses(date(2026, 1, 1), 10),
        accesses(date(2026, 1, 1), 5, "2" * 14),
        accesses(date(2026, 2, 1), 12),
    )
    survey = {"resource": "ExpectativasMercadoSelic", "indicator": "Selic", "surveyed_on": date(2024, 3, 1)}
    kit.publish("bcb_focus", *(
        survey | {"reference_period": meeting, "base_calculation": base, "median": Decimal(median),
                  "published_at": at("2024-03-04T12:00:00"), "published_at_basis": "assumed_lag"}
        for meeting, median in (("R2/2024", "10.75"), ("R3/2024", "10.25"), ("R8/2024", "9")) for base in (0, 1)
    ))  # fmt: skip
    point = {"point_id": "2927408", "model": "best_match"}
    kit.publish("openmeteo_archive", *(
        point | {"valid_at": begin + timedelta(hours=n), "air_temperature_celsius": 26.0} for n in range(24)
    ))  # fmt: skip
    kit.publish("bcb_ptax", {
        "currency_code": "USD", "quoted_at": at("2024-03-04T16:05:00"), "quoted_at_local": "2024-03-04 13:05:00",
        "bulletin_type": "Fechamento", "buying_rate": Decimal("4.94"), "selling_rate": Decimal("4.95"),
    })  # fmt: skip
    kit.publish("anatel_mobile_accesses", *(
        accesses(month, number) | {"generation": generation, "technology": None}
        for month in (date(2026, 1, 1), date(2026, 2, 1)) for generation, number in (("4G", 70), ("5G", 30))
    ))  # fmt: skip
    kit.publish("anatel_base_stations", {
        "license_row_id": "a1", "station_number": "7", "municipality_code": "2927408", "technology": "NR",
        "first_licensed_on": date(2023, 5, 9), "attributes": [],
    })  # fmt: skip
    kit.publish("ibge_sidra", {
        "table_id": 6579, "territory_level": "6", "territory_code": "2927408", "variable_code": "9324",
        "period_code": "2021", "classifications": "", "value": Decimal("2900319"),
    })  # fmt: skip
    return kit.write()


def found(check, *arguments):
    """A check's findings, in the form of an oracle."""
    return [f"{each.where}: {each.what}" for each in check(*arguments).findings]


def write_checkpoint(root, query, *, batch, sources, guard=None, planned=None):
    """A Spark checkpoint whose newest committed batch ends at these source offsets."""
    life = root / query / "g0"
    for log in ("offsets", "commits"):
        (life / log).mkdir(parents=True, exist_ok=True)
    lines = ["v1", json.dumps({"batchWatermarkMs": 0}), *(json.dumps(each) for each in sources)]
    (life / "offsets" / str(batch)).write_text("\n".join(lines))
    (life / "commits" / str(batch)).write_text('v1\n{"nextBatchWatermarkMs":0}')
    if planned is not None:
        (life / "offsets" / str(planned)).write_text("\n".join(lines))
    (root / query / "guard.json").write_text(json.dumps({"generation": 0, **(guard or {})}))
