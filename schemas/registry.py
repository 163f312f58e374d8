"""The schema registry: register the contracts, find schemas by id, and prove that compatibility is enforced.

A process caches all answers of the registry and uses them while the registry does not answer: a worker continues with
the schemas that it has registered, and cannot publish with others.
"""

import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, cast

import httpx2
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.common.schema_registry_client import ConfigCompatibilityLevel, ServerConfig

from foundation import log
from foundation.errors import TransientError, UnsafeState
from schemas import registry_access
from schemas.contracts import Contract, ours

LEVEL = ConfigCompatibilityLevel.BACKWARD_TRANSITIVE
"""The compatibility level: today's reader must read every record ever published."""

TIMEOUT_SECONDS = 10

_PROBE = '{"type": "record", "name": "CompatibilityProbe", "fields": [{"name": "value", "type": "%s"}]}'

_NO_SUCH_THING = (40401, 40402, 40403)
"""The registry's error codes: no such subject, version, schema."""

_IDS: dict[tuple[str, str, str], int] = {}
"""(registry, subject, schema text) → the id in the registry."""
_TEXTS: dict[tuple[str, int], str] = {}
"""(registry, id) → schema text. An id never changes its meaning."""
_CHECKED: set[tuple[str, str]] = set()
"""(registry, subject) whose level this process has set, or seen to be right."""


@dataclass(frozen=True)
class Change:
    """What `register` would do about one contract.

    Attributes:
        action: `create` a subject, `keep` it, `evolve` it by a version, or be `refused`.
    """

    subject: str
    action: Literal["create", "keep", "evolve", "refused"]


class Registry:
    """One registry. Its ids have gaps and cannot be restored.

    Every method raises TransientError when the registry does not answer, or answers that it is not ready.
    """

    def __init__(self, url: str) -> None:
        """Args: url: of its Confluent-compatible API."""
        self._url = url
        self._client = SchemaRegistryClient({"url": url, "timeout": TIMEOUT_SECONDS, **registry_access.options(url)})

    def register(self, contracts: Iterable[Contract], prefix: str) -> dict[str, int]:
        """Register each of our contracts under its prefixed subject; returns contract name → its id. Again is harmless.

        Raises:
            UnsafeState: a contract is not compatible with an earlier version, or is not a valid schema.
            TransientError: the registry does not answer, and this process does not have all ids in its cache.
        """
        ids: dict[str, int] = {}
        is_silent = False
        for contract in ours(contracts):
            subject = prefix + contract.subject
            known = _IDS.get((self._url, subject, contract.schema_text))
            if is_silent and known is not None:
                ids[contract.name] = known  # wait only once
                continue
            try:
                ids[contract.name] = self._register(subject, contract)
            except TransientError as error:
                if known is None:
                    raise
                is_silent = True
                ids[contract.name] = known
                log.get_logger("schemas").warning(
                    "registry_silent", using="ids known to this process", error=str(error)
                )
        return ids

    def _register(self, subject: str, contract: Contract) -> int:
        schema = Schema(contract.schema_text, "AVRO")
        if not registry_access.may_register(self._url):
            found = self._registered(subject, schema)
        else:
            self._set_level(subject)
            with self._translated(f"register {subject}"):
                found = int(self._client.register_schema(subject, schema))
        _IDS[self._url, subject, contract.schema_text] = found
        _TEXTS[self._url, found] = contract.schema_text
        return found

    def _registered(self, subject: str, schema: Schema) -> int:
        """Raises: UnsafeState: nobody has registered the schema, and this process may not."""
        try:
            with self._translated(f"look up {subject}"):
                return int(self._client.lookup_schema(subject, schema).schema_id or 0)
        except _NotFoundError:
            raise UnsafeState(
                f"the schema of {subject} is not registered at {self._url}, and register_schemas is off",
                hint="correnteza schemas register, as a user who may, with register_schemas = true",
            ) from None

    def plan(self, contracts: Iterable[Contract], prefix: str) -> list[Change]:
        """What `register` would do about each contract; changes nothing.

        Raises:
            UnsafeState: a subject would get a new version, and the registry does not enforce compatibility.
        """
        return [self._change(prefix + contract.subject, contract) for contract in ours(contracts)]

    def _change(self, subject: str, contract: Contract) -> Change:
        published = self.versions(subject)
        if not published:
            return Change(subject, "create")
        if any(json.loads(text) == contract.schema for _, _, text in published):
            return Change(subject, "keep")
        self.require_level(subject)
        with self._translated(f"compare {subject}"):
            is_compatible = self._client.test_compatibility_all_versions(subject, Schema(contract.schema_text, "AVRO"))
        return Change(subject, "evolve" if is_compatible else "refused")

    def require_level(self, subject: str) -> None:
        """Raises: UnsafeState: a subject's level, its own or the global one, is not what the contracts count on."""
        if self._level(subject) is not LEVEL:
            raise UnsafeState(
                f"the registry at {self._url} does not check {subject} at the level {LEVEL.value}",
                hint="run correnteza up or poll: both set the level of each subject, and check it first",
            )

    def _level(self, subject: str) -> ConfigCompatibilityLevel | None:
        with self._translated(f"read the compatibility level of {subject}"):
            try:
                found = self._client.get_config(subject_name=subject)
            except SchemaRegistryError as error:
                if error.http_status_code != HTTPStatus.NOT_FOUND:
                    raise
                found = self._client.get_config()  # it has none of its own
        return found.compatibility or found.compatibility_level

    def _set_level(self, subject: str) -> None:
        """The level of one subject, never the global one: others may use the registry, and count on theirs."""
        if (self._url, subject) in _CHECKED:
            return
        if self._level(subject) is not LEVEL:
            # If two workers start at once on a new subject, the registry may refuse one of them.
            with suppress(_RefusedError), self._translated(f"set the compatibility level of {subject}"):
                self._client.set_config(subject_name=subject, config=ServerConfig(compatibility=LEVEL))
            self.require_level(subject)
        _CHECKED.add((self._url, subject))

    def schema_by_id(self, schema_id: int) -> str | None:
        """The schema's text, or None only if the registry answers that it has no such id."""
        action = f"look up schema id {schema_id}"
        try:
            with self._translated(action):
                # Only by id and never by subject: a record may have any id.
                text = self._client.get_schema(schema_id).schema_str
            if text is None:
                raise TransientError(f"cannot {action} at {self._url}: the answer contains no schema")
        except _NotFoundError:
            return None
        except _RefusedError as error:
            raise TransientError(str(error)) from error  # not an answer of the registry itself
        except TransientError:
            if (self._url, schema_id) not in _TEXTS:
                raise
            return _TEXTS[self._url, schema_id]
        _TEXTS[self._url, schema_id] = text
        return text

    def subjects(self) -> set[str]:
        """The subjects that there are."""
        with self._translated("list the subjects"):
            return set(self._client.get_subjects())

    def subjects_of(self, schema_id: int) -> list[str]:
        """The subjects that a schema is registered under, in alphabetical order; none if there is no such schema."""
        try:
            with self._translated(f"list the subjects of schema id {schema_id}"):
                return sorted(self._client.get_subjects_by_schema_id(schema_id))
        except _NotFoundError:
            return []

    def versions(self, subject: str) -> list[tuple[int, int, str]]:
        """(schema id, version, schema text) of a subject, oldest first; empty when there is no such subject."""
        try:
            with self._translated(f"list the versions of {subject}"):
                numbers = sorted(self._client.get_versions(subject))
                found = [self._client.get_version(subject, number) for number in numbers]
        except _NotFoundError:
            return []
        # Optional in the client, because it uses the same type for requests and answers.
        return [
            (cast("int", each.schema_id), cast("int", each.version), cast("str", each.schema.schema_str))
            for each in found
        ]

    def prove_compatibility(self) -> None:
        """Register a probe subject as ours are, then an incompatible version of it, which must be refused.

        Raises:
            UnsafeState: it was accepted.
        """
        subject = f"correnteza.compatibility-probe.{uuid.uuid4().hex}-value"
        self._set_level(subject)
        with self._translated("register the probe schema"):
            self._client.register_schema(subject, Schema(_PROBE % "string", "AVRO"))
        try:
            with self._translated("register the incompatible probe schema"):
                self._client.register_schema(subject, Schema(_PROBE % "long", "AVRO"))
        except _RefusedError:
            return
        finally:
            with self._translated("delete the probe schema"):
                self._client.delete_config(subject)  # the registry would keep it, without its subject
                self._client.delete_subject(subject)
        raise UnsafeState(
            f"the registry at {self._url} accepts an incompatible schema: readers of old records would break",
            hint=f"correnteza sets {LEVEL.value} for each of its subjects; allow it that, and remove other rules",
        )

    @contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        """The client's errors as ours."""
        try:
            yield
        except SchemaRegistryError as error:
            message = f"cannot {action} at {self._url}: {error}"
            # A proxy may answer 404, too: only the registry adds a code.
            if error.http_status_code == HTTPStatus.NOT_FOUND and error.error_code in _NO_SUCH_THING:
                raise _NotFoundError(message) from error
            if error.http_status_code in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
                raise _RefusedError(message, hint="correnteza schemas plan; give new fields a default") from error
            raise TransientError(message) from error
        except ValueError as error:
            raise TransientError(f"cannot {action} at {self._url}: the answer is not JSON: {error}") from error
        except httpx2.HTTPError as error:
            raise TransientError(
                f"cannot {action}: the registry at {self._url} does not answer: {error}",
                hint="correnteza up registry, or set CORRENTEZA_REGISTRY_URL",
            ) from error


class _NotFoundError(TransientError):
    """The registry answers that something does not exist. If that was not expected, it is transient: the registry may
    be starting."""


class _RefusedError(UnsafeState):
    """The registry refuses a schema."""


def prove_compatibility(url: str) -> None:
    """Prove that the registry at a URL refuses what is incompatible; nothing where this process may not register.

    Raises: UnsafeState, TransientError.
    """
    if registry_access.may_register(url):
        Registry(url).prove_compatibility()
