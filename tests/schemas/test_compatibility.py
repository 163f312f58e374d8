"""`schemas check`: a contract that cannot read what was published, or that no reader can read, is found offline."""

import copy
import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from correnteza.commands.schemas import app
from foundation.errors import UnsafeState, UsageError
from schemas import compatibility
from schemas.compatibility import findings, published_versions
from schemas.contracts import FOLDER as CONTRACTS
from schemas.contracts import load, load_all
from tests.golden.kit import FOLDER

PUBLISHED = FOLDER / "contracts"
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 8}


def changed(change, name="bcb_ptax"):
    """The contract with its list of fields changed."""
    schema = copy.deepcopy(load(name).schema)
    change(schema["fields"])
    return replace(load(name), schema=schema)


def field(kind, **more):
    """A new field at the end."""
    return lambda fields: fields.append({"name": "extra", "type": kind, **more})


@pytest.mark.parametrize("name", load_all())
def test_f7_every_contract_reads_every_published_version(name):
    assert findings(load(name), published_versions(PUBLISHED, name)) == []


@pytest.mark.parametrize(
    "change",
    [
        field(["null", "string"], default=None),
        field("long", default=83),
        lambda fields: fields.pop(4),
        lambda fields: fields[4].update(doc="in other words"),
        lambda fields: fields[0].update(type=["null", fields[0]["type"]]),
    ],
    ids=["an optional field", "one never null", "a field removed", "other words", "may be null from now on"],
)
def test_f7_a_change_that_readers_survive_is_allowed(change):
    assert findings(changed(change), [load("bcb_ptax")]) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (field("string"), "extra"),
        (lambda fields: fields[0].update(type="long"), "cannot be read"),
        (lambda fields: fields[4].update(type=DECIMAL), "cannot be read"),
        (lambda fields: fields[4].update(type=["null", DECIMAL | {"scale": 2}]), "another type"),
        (lambda fields: fields[4].update(type=["null", DECIMAL, "string"]), "one type beside null"),
        (field(["int", "string"], default=1), "one type beside null"),
        (field(["null", DECIMAL | {"precision": 39}], default=None), "decimal"),
        (field({"type": "enum", "name": "e", "symbols": ["a"]}, default="a"), "enum"),
        (field({"type": "array", "items": "null"}, default=[]), "no bytes"),
        (field({"type": "array", "items": {"type": "fixed", "name": "f", "size": 0}}, default=[]), "no bytes"),
        (field(["null", "bcb_ptax"], default=None), "recursive"),
        (field(["null", "correnteza.bcb_ptax"], default=None), "recursive"),
    ],
)
def test_f7_a_contract_that_may_not_be_published_is_refused_with_its_reason(change, reason):
    assert reason in " ".join(findings(changed(change), [load("bcb_ptax")]))


def test_f7_a_version_is_compared_with_all_before_it_and_not_with_the_last_alone(tmp_path):
    """A field that was removed comes back with another type: the last version would not mind."""
    text = json.loads((PUBLISHED / "bcb_ptax.avsc").read_text())
    (tmp_path / "bcb_ptax").mkdir()
    (tmp_path / "bcb_ptax.avsc").write_text(json.dumps(text))
    without = text | {"fields": [each for each in text["fields"] if each["name"] != "quoted_at_local"]}
    (tmp_path / "bcb_ptax" / "2.avsc").write_text(json.dumps(without))
    proposed = changed(lambda fields: fields[2].update(type="long", default=0))
    kept = published_versions(tmp_path, "bcb_ptax")

    assert {reason[:9] for reason in findings(proposed, kept)} == {"version 1"}
    assert findings(proposed, kept[1:]) == [], "control: against the last version alone nothing is found"


def test_f7_control_without_a_value_in_every_branch_the_narrowed_union_is_not_found(monkeypatch, control):
    """The oracle looks at the check itself: a union that became narrower has to be found."""
    narrowed = changed(lambda fields: fields[4].update(type=DECIMAL, default="\u0000"))
    monkeypatch.setattr(compatibility, "_column", lambda _: None)

    def let_through() -> list[str]:
        return [] if findings(narrowed, [load("bcb_ptax")]) else ["a union that became narrower is let through"]

    control.holds(let_through)
    monkeypatch.setattr(compatibility, "_value", lambda schema, _, take=compatibility._value: take(schema, 1))
    control.objects(let_through, damage="a union that became narrower is let through")


KINDS = {
    "int to long": ("int", "long"),
    "int to long, nullable": (["null", "int"], ["null", "long"]),
    "long to double": ("long", "double"),
    "string to bytes": ("string", "bytes"),
    "values of a map": ({"type": "map", "values": "int"}, {"type": "map", "values": "long"}),
    "decimals in a map": (
        {"type": "map", "values": ["null", DECIMAL]},
        {"type": "map", "values": ["null", DECIMAL | {"scale": 2}]},
    ),
    "decimals in a list": ({"type": "array", "items": DECIMAL}, {"type": "array", "items": DECIMAL | {"precision": 9}}),
    "decimals in a record": tuple(
        {"type": "record", "name": "r", "fields": [{"name": "a", "type": DECIMAL | {"scale": scale}}]}
        for scale in (8, 2)
    ),
}
"""Avro reads each of these pairs without a word."""


@pytest.mark.parametrize(("was", "proposed"), KINDS.values(), ids=KINDS)
def test_f7_a_type_that_its_column_cannot_take_is_refused_though_avro_could_read_it(was, proposed, monkeypatch):
    name = "extra"
    before, after = (
        changed(lambda fields, kind=kind: fields.append({"name": name, "type": kind})) for kind in (was, proposed)
    )
    assert [reason.split(":")[1].strip() for reason in findings(after, [before])] == [name]
    monkeypatch.setattr(compatibility, "_column", lambda _: None)
    assert findings(after, [before]) == [], "control: Avro's own resolution finds nothing"


def test_f7_the_command_passes_for_the_repository_and_exits_3_with_the_reason(tmp_path):
    passed = CliRunner().invoke(app, ["check", "--published", str(PUBLISHED)])
    assert (passed.exit_code, passed.output.count("ok ")) == (0, len(load_all()))

    for file in CONTRACTS.glob("*.avsc"):
        (tmp_path / file.name).write_text(file.read_text())
    other = json.loads((tmp_path / "bcb_sgs.avsc").read_text()) | {"topic": "bcb_sgs.v9"}
    (tmp_path / "bcb_sgs.avsc").write_text(json.dumps(other))
    refused = CliRunner().invoke(app, ["check", "--published", str(tmp_path)])
    assert isinstance(refused.exception, UnsafeState)
    assert refused.exception.exit_code == 3
    assert "another topic or key" in refused.output


def test_the_command_names_a_folder_that_is_not_there(tmp_path):
    assert isinstance(CliRunner().invoke(app, ["check", "--published", str(tmp_path / "none")]).exception, UsageError)
