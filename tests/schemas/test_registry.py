"""The registry refuses schemas that would break readers; its answers are distinguished from a missing answer."""

import json
from dataclasses import replace

import pytest
from confluent_kafka.schema_registry import SchemaRegistryError
from confluent_kafka.schema_registry.common.schema_registry_client import ConfigCompatibilityLevel, ServerConfig

from foundation.errors import TransientError, UnsafeState
from schemas import registry_access
from schemas.contracts import load, load_all
from schemas.registry import LEVEL, Registry
from tests.controls import complaint
from tests.proxy import Proxy

pytestmark = pytest.mark.integration


@pytest.fixture
def registry(services):
    return Registry(services.registry_url)


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


def test_the_level_is_set_for_our_subjects_and_never_for_all(registry, prefix):
    """Others may use the registry, and count on the level that they have set."""
    others = registry._client.get_config().compatibility_level
    registry.register([load("bcb_sgs")], prefix)
    found = registry._client.get_config(subject_name=prefix + load("bcb_sgs").subject)
    assert (found.compatibility_level, others) == (LEVEL, ConfigCompatibilityLevel.NONE)
    assert registry._client.get_config().compatibility_level == others


def test_control_the_probe_fails_where_no_level_is_set(registry, monkeypatch, control):
    """The same probe at the registry's own level, which is NONE."""

    def probe() -> list[str]:
        return complaint(registry.prove_compatibility)

    control.holds(probe)
    monkeypatch.setattr(registry, "_set_level", lambda subject: None)
    control.objects(probe, damage="accepts an incompatible schema")


def test_a_schema_that_nobody_registered_is_refused_where_registering_is_off(registry, services, prefix, monkeypatch):
    monkeypatch.setattr(registry_access, "_LOOKED_UP_ONLY", set())
    registry_access.use(services.registry_url, ca=None, may_register=False)
    with pytest.raises(UnsafeState, match="register_schemas is off"):
        registry.register([load("bcb_sgs")], prefix)
    assert registry.versions(prefix + load("bcb_sgs").subject) == []
    registry_access._LOOKED_UP_ONLY.clear()
    ids = registry.register([load("bcb_sgs")], prefix)
    registry_access.use(services.registry_url, ca=None, may_register=False)
    assert registry.register([load("bcb_sgs")], prefix) == ids


def test_the_probe_leaves_neither_its_subject_nor_its_level(registry, monkeypatch):
    probes = []
    set_level = registry._set_level
    monkeypatch.setattr(registry, "_set_level", lambda subject: (probes.append(subject), set_level(subject)))
    registry.prove_compatibility()
    assert [subject for subject in registry._client.get_subjects() if "probe" in subject] == []
    [probe] = probes
    assert registry._level(probe) is not LEVEL


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


def test_known_ids_are_used_while_the_registry_does_not_answer_and_no_others(elsewhere, prefix):
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


def test_a_plan_uses_no_subject_that_is_not_checked(registry, prefix):
    registry.register([load("bcb_sgs")], prefix)
    subject = prefix + load("bcb_sgs").subject
    unchecked = ServerConfig(compatibility=ConfigCompatibilityLevel.NONE)
    registry._client.set_config(subject_name=subject, config=unchecked)
    with pytest.raises(UnsafeState, match="does not check"):
        registry.plan([with_field(load("bcb_sgs"), name="note", type="string")], prefix)


def test_two_that_set_the_level_at_once_both_go_on_if_it_holds(registry, prefix, monkeypatch):
    """A registry may refuse the second one: the rule exists already."""
    client, subject = registry._client, f"{prefix}new-value"
    registry._set_level(subject)
    before = [ConfigCompatibilityLevel.NONE, LEVEL]

    def level(subject):
        return before.pop(0) if before else LEVEL

    def refuse(**_):
        raise SchemaRegistryError(409, 0, "A rule named 'COMPATIBILITY' already exists.")

    monkeypatch.setattr("schemas.registry._CHECKED", set())
    monkeypatch.setattr(registry, "_level", level)
    monkeypatch.setattr(client, "set_config", refuse)
    registry._set_level(subject)
    monkeypatch.setattr("schemas.registry._CHECKED", set())
    monkeypatch.setattr(registry, "_level", lambda subject: ConfigCompatibilityLevel.NONE)
    with pytest.raises(UnsafeState, match="does not check"):
        registry._set_level(subject)
