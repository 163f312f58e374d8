"""The schema registry: register the contracts, look schemas up by id, and prove that compatibility is enforced."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import cast

import httpx2
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.common.schema_registry_client import ConfigCompatibilityLevel, ServerConfig

from foundation.errors import TransientError, UnsafeState
from schemas.contracts import Contract

LEVEL = ConfigCompatibilityLevel.BACKWARD_TRANSITIVE
"""Today's reader must read every record ever published."""

TIMEOUT_SECONDS = 10

_PROBE = '{"type": "record", "name": "CompatibilityProbe", "fields": [{"name": "value", "type": "%s"}]}'


class Registry:
    """One registry. Its ids are its own: they have gaps, and cannot be restored.

    Every method raises TransientError when the registry does not answer, or answers that it cannot now.
    """

    def __init__(self, url: str) -> None:
        """Args: url: of its Confluent-compatible API."""
        self._url = url
        self._client = SchemaRegistryClient({"url": url, "timeout": TIMEOUT_SECONDS})

    def register(self, contracts: Iterable[Contract], prefix: str) -> dict[str, int]:
        """Register each contract under its prefixed subject; returns contract name → schema id. Again is harmless.

        Raises:
            UnsafeState: a contract is not compatible with an earlier version, or is no schema at all.
        """
        ids = {}
        for contract in contracts:
            subject = prefix + contract.subject
            with self._translated(f"register {subject}"):
                ids[contract.name] = int(self._client.register_schema(subject, Schema(contract.schema_text, "AVRO")))
        return ids

    def schema_by_id(self, schema_id: int) -> str | None:
        """The schema's text, or None when the registry answers that it has no such id."""
        try:
            with self._translated(f"look up schema id {schema_id}"):
                # By id alone, never through a subject: a record may carry any id.
                return self._client.get_schema(schema_id).schema_str
        except _NotFoundError:
            return None

    def versions(self, subject: str) -> list[tuple[int, int, str]]:
        """(schema id, version, schema text) of a subject, oldest first; empty when there is no such subject."""
        try:
            with self._translated(f"list the versions of {subject}"):
                numbers = sorted(self._client.get_versions(subject))
                found = [self._client.get_version(subject, number) for number in numbers]
        except _NotFoundError:
            return []
        # Optional in the client, which uses one type for what it sends and what it gets.
        return [
            (cast("int", each.schema_id), cast("int", each.version), cast("str", each.schema.schema_str))
            for each in found
        ]

    def enforce_compatibility(self) -> None:
        """Set the global level, and prove with a schema that must be refused that the registry acts on it.

        Raises:
            UnsafeState: the registry took the incompatible schema.
        """
        with self._translated("set the compatibility level"):
            found = self._client.get_config()
            if LEVEL not in (found.compatibility, found.compatibility_level):
                self._client.set_config(config=ServerConfig(compatibility=LEVEL))
        self.prove_compatibility()

    def prove_compatibility(self) -> None:
        """Register a probe subject, then an incompatible version of it, which must be refused.

        Raises:
            UnsafeState: it was taken.
        """
        subject = f"correnteza.compatibility-probe.{uuid.uuid4().hex}-value"
        with self._translated("register the probe schema"):
            self._client.register_schema(subject, Schema(_PROBE % "string", "AVRO"))
        try:
            with self._translated("register the incompatible probe schema"):
                self._client.register_schema(subject, Schema(_PROBE % "long", "AVRO"))
        except _RefusedError:
            return
        finally:
            with self._translated("delete the probe schema"):
                self._client.delete_subject(subject)
        raise UnsafeState(
            f"the registry at {self._url} accepts an incompatible schema: readers of old records would break",
            hint=f"set its global compatibility to {LEVEL.value}, and let nothing override it",
        )

    @contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        """The client's errors as ours."""
        try:
            yield
        except SchemaRegistryError as error:
            message = f"cannot {action} at {self._url}: {error}"
            if error.http_status_code == HTTPStatus.NOT_FOUND:
                raise _NotFoundError(message) from error
            if error.http_status_code in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
                raise _RefusedError(message, hint="correnteza schemas check; give new fields a default") from error
            raise TransientError(message) from error
        except httpx2.HTTPError as error:
            raise TransientError(
                f"cannot {action}: the registry at {self._url} does not answer: {error}",
                hint="correnteza up registry, or set CORRENTEZA_REGISTRY_URL",
            ) from error


class _NotFoundError(TransientError):
    """The registry says there is no such thing. Transient where it was not expected: a registry still starting."""


class _RefusedError(UnsafeState):
    """The registry refuses a schema."""


def enforce_compatibility(url: str) -> None:
    """Set and prove the compatibility level of the registry at a URL. Raises: UnsafeState, TransientError."""
    Registry(url).enforce_compatibility()
