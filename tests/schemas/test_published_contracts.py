"""Every contract that was published can be read for ever: today's reads each record written under it (F7, without a
registry). A contract may get a field with a default; its copy in tests/golden/contracts is of the day it was published.
"""

import io
import json
from typing import Any

import fastavro
import pytest

from schemas.contracts import load, load_all
from tests.controls import complaint
from tests.golden.kit import FOLDER
from tests.samples import sample

PUBLISHED = sorted((FOLDER / "contracts").glob("*.avsc"))
PROVENANCE = {
    "published_at": None,
    "published_at_basis": "none",
    "retrieved_at": 1_762_864_496_000_000,
    "chunk_id": "0" * 32,
    "row_number": 7,
}

OURS = {"topic", "key", "partitions", "cleanup", "classes"}


def bare(text: str) -> dict[str, Any]:
    """The schema without our own attributes."""
    found = json.loads(text)
    return {name: value for name, value in found.items() if name not in OURS}


def read_back(record: dict[str, Any], written: dict[str, Any], reader: dict[str, Any]) -> dict[str, Any]:
    """What the reader's schema makes of a record written under another."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(written), record)
    body.seek(0)
    return fastavro.schemaless_reader(body, fastavro.parse_schema(written), fastavro.parse_schema(reader))


def test_every_contract_has_its_published_copy():
    assert {file.stem for file in PUBLISHED} == load_all().keys()


@pytest.mark.parametrize("file", PUBLISHED, ids=lambda file: file.stem)
def test_topic_and_key_of_a_published_contract_never_change(file):
    published, contract = json.loads(file.read_text()), load(file.stem)
    assert (published["topic"], tuple(published["key"])) == (contract.topic, contract.key)


@pytest.mark.parametrize("file", [file for file in PUBLISHED if load(file.stem).is_dataset], ids=lambda file: file.stem)
def test_todays_contract_reads_what_was_written_under_the_published_one(file):
    contract = load(file.stem)
    for number in range(3):
        record = sample(contract, number) | PROVENANCE
        written = {name: record[name] for name in (field["name"] for field in bare(file.read_text())["fields"])}
        found = read_back(written, bare(file.read_text()), contract.schema)
        assert {name: found[name] for name in contract.key} == {name: record[name] for name in contract.key}


@pytest.mark.parametrize(
    ("change", "damage"),
    [
        (lambda fields: fields.append({"name": "note", "type": "string"}), "No default value for field note"),
        (lambda fields: fields.__setitem__(0, {**fields[0], "type": "long"}), "Schema mismatch: string is not long"),
    ],
    ids=["a field without a default", "another type"],
)
def test_control_a_change_that_breaks_readers_is_found(change, damage, control):
    published = bare((FOLDER / "contracts" / "inmet_stations.avsc").read_text())
    proposed = json.loads(json.dumps(published))
    change(proposed["fields"])

    def reading(reader) -> list[str]:
        return complaint(lambda: read_back(sample(load("inmet_stations"), 1) | PROVENANCE, published, reader))

    control.holds(reading, load("inmet_stations").schema)
    control.objects(reading, proposed, damage=damage)
