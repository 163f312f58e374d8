"""The registry refuses schemas that would break readers; its answers are distinguished from a missing answer."""

import json
from dataclasses import replace

import pytest
from confluent_kafka.schema_registry import SchemaRegistryError
from confluent_kafka.schema_registry.common.schema_registry_client import ConfigCompatibilityLevel, ServerConfig

from foundation.errors import TransientError, UnsafeState
from schemas.contracts import load, load_all
from schemas.registry import Registry
from tests.controls import complaint
from tests.proxy import Proxy

pytestmark = pytest.mark.integration


@pytest.fixture
def registry(services):
    registry = Registry(services.registry_url)
    registry.enforce_compatibility()
    return registry


def with_field(contract, **field):
    schema = json.loads(contract.schema_text)
    schema["fields"].append(field)
    return replace(contract, schema=schema)


def test_contracts_are_registered_once(registry, prefix):
    first = registry.register(load_all().values(), prefix)
    assert first.keys() == load_all().keys()
    assert registry.register(load_all().values(), prefix) == first
    assert {name: json.loads(registry.schema_by_id(schema_id)) for name, schema_id in first.items()} == {
        name: contract.schema for name, contract in load_all().items()
    }


def test_a_field_with_a_default_is_a_new_version(registry, prefix):
    contract = load("bcb_sgs")
    wider = with_field(contract, name="note", type=["null", "string"], default=None)
    old, new = (registry.register([each], prefix)["bcb_sgs"] for each in (contract, wider))
    found = registry.versions(prefix + contract.subject)
    assert [(schema_id, version, json.loads(text)) for schema_id, version, text in found] == [
        (old, 1, contract.schema),
        (new, 2, wider.schema),
    ]


def test_a_field_without_a_default_is_refused(registry, prefix):
    contract = load("bcb_sgs")
    registry.register([contract], prefix)
    with pytest.raises(UnsafeState, match=prefix + contract.subject):
        registry.register([with_field(contract, name="note", type="string")], prefix)
    assert len(registry.versions(prefix + contract.subject)) == 1


def test_control_the_probe_fails_where_compatibility_is_not_enforced(registry, control):
    """The same probe at level NONE."""

    def probe() -> list[str]:
        return complaint(registry.prove_compatibility)

    registry.enforce_compatibility()
    control.holds(probe)
    registry._client.set_config(config=ServerConfig(compatibility=ConfigCompatibilityLevel.NONE))
    try:
        control.objects(probe, damage="accepts an incompatible schema")
    finally:
        registry.enforce_compatibility()


def test_the_probe_leaves_no_subject(registry):
    assert [subject for subject in registry._client.get_subjects() if "probe" in subject] == []


@pytest.mark.parametrize("schema_id", [0, 999_999_999, 2**32 - 1])
def test_an_unknown_id_is_an_answer(registry, schema_id):
    assert registry.schema_by_id(schema_id) is None


def test_an_unknown_subject_has_no_versions(registry, prefix):
    assert registry.versions(prefix + "nothing-value") == []


def test_a_registry_that_is_away_is_no_answer():
    with pytest.raises(TransientError, match="does not answer"):
        Registry("http://127.0.0.1:9/apis/ccompat/v7").schema_by_id(1)


@pytest.fixture
def elsewhere(services):
    """The same registry behind a port of its own, which a test can close: (url, close)."""
    host, port = services.registry_url.split("/")[2].split(":")
    with Proxy((host, int(port))) as proxy:
        yield services.registry_url.replace(f"{host}:{port}", proxy.address), proxy


def test_ids_told_once_serve_while_the_registry_is_silent_and_no_others(elsewhere, prefix):
    url, proxy = elsewhere
    known = Registry(url).register([load("bcb_sgs"), load("bcb_ptax")], prefix)
    proxy.mode = "reset"
    later = Registry(url)
    assert later.register([load("bcb_sgs"), load("bcb_ptax")], prefix) == known
    assert json.loads(later.schema_by_id(known["bcb_sgs"])) == load("bcb_sgs").schema
    with pytest.raises(TransientError):
        later.register([load("bcb_sgs"), load("bcb_focus")], prefix)
    with pytest.raises(TransientError):
        later.register([with_field(load("bcb_sgs"), name="note", type=["null", "string"], default=None)], prefix)
    with pytest.raises(TransientError):
        later.schema_by_id(999_999_999)
    proxy.mode = "pass"
    assert "bcb_focus" in later.register([load("bcb_focus")], prefix)


def test_a_plan_says_what_would_be_registered_and_registers_nothing(registry, prefix):
    contract = load("bcb_sgs")
    subject = prefix + contract.subject

    def plan(proposed) -> str:
        (change,) = registry.plan([proposed], prefix)
        assert change.subject == subject
        return change.action

    assert plan(contract) == "create"
    registry.register([contract], prefix)
    assert plan(contract) == "keep"
    assert plan(with_field(contract, name="note", type=["null", "string"], default=None)) == "evolve"
    assert plan(with_field(contract, name="note", type="string")) == "refused"
    assert len(registry.versions(subject)) == 1


def test_a_plan_trusts_no_registry_that_checks_nothing(registry, prefix):
    registry.register([load("bcb_sgs")], prefix)
    registry._client.set_config(config=ServerConfig(compatibility=ConfigCompatibilityLevel.NONE))
    try:
        with pytest.raises(UnsafeState, match="does not check compatibility"):
            registry.plan([with_field(load("bcb_sgs"), name="note", type="string")], prefix)
    finally:
        registry.enforce_compatibility()


def test_two_that_set_the_level_at_once_both_go_on_if_it_holds(registry, monkeypatch):
    """A registry that is new refuses the second one: the rule exists already."""
    client = registry._client
    registry.enforce_compatibility()

    def refuse(**_):
        raise SchemaRegistryError(409, 0, "A rule named 'COMPATIBILITY' already exists.")

    monkeypatch.setattr(client, "get_config", lambda: ServerConfig(compatibility=ConfigCompatibilityLevel.NONE))
    monkeypatch.setattr(client, "set_config", refuse)
    registry.enforce_compatibility()
    monkeypatch.setattr(registry, "_client", _Unchecked(client))
    with pytest.raises(UnsafeState, match="accepts an incompatible schema"):
        registry.enforce_compatibility()


class _Unchecked:
    """A registry that refuses to set the level, and then checks nothing."""

    def __init__(self, client):
        self._client = client
        self._probes = 0

    def register_schema(self, *_):
        self._probes += 1

    def delete_subject(self, *_):
        assert self._probes == 2

    def __getattr__(self, name):
        return getattr(self._client, name)
