"""How this process logs in to a Kafka cluster. The settings say it once, and every client is made with it.

Three libraries talk to Kafka and name the same things differently: librdkafka (producers, consumers, administration),
Java's client (Spark) and aiokafka (Faust). Whoever makes a client asks this module for its options.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from foundation import log
from foundation.errors import DependencyUnavailable, TransientError, UsageError

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]

_MODULES = {"PLAIN": "plain.PlainLoginModule"}
_SCRAM = "scram.ScramLoginModule"


@dataclass(frozen=True)
class Login:
    """Encryption and authentication of the connections to one cluster.

    Attributes:
        ca: PEM file with the certificates that sign the brokers'. None: those that the system trusts.
        certificate, key: PEM files of this client, where the brokers ask for a certificate; the key has no password.
    """

    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism = "SCRAM-SHA-512"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        """Raises: UsageError where parts contradict each other."""
        if self.is_sasl != (self.user is not None) or self.is_sasl != (self.password is not None):
            raise UsageError(
                f"with kafka_security {self.protocol}, kafka_user and kafka_password must "
                + ("both be set" if self.is_sasl else "not be set: no broker would ask for them"),
                hint="CORRENTEZA_KAFKA_SECURITY=SASL_SSL, CORRENTEZA_KAFKA_USER, CORRENTEZA_KAFKA_PASSWORD_FILE",
            )
        if (self.certificate is None) != (self.key is None):
            raise UsageError(
                "kafka_certificate and kafka_key belong together", hint="set both, or neither; both are PEM files"
            )
        if not self.is_tls and (self.ca or self.certificate):
            raise UsageError(
                f"with kafka_security {self.protocol} nothing is encrypted, and kafka_ca and kafka_certificate have "
                "no meaning",
                hint="CORRENTEZA_KAFKA_SECURITY=SASL_SSL, or SSL",
            )

    @property
    def is_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.protocol.endswith("SSL")

    @property
    def is_sasl(self) -> bool:
        """Whether a user and a password are sent."""
        return self.protocol.startswith("SASL")

    def of_librdkafka(self) -> dict[str, str]:
        """Options of a librdkafka client."""
        found: dict[str, Any] = {"security.protocol": self.protocol}
        if self.is_sasl:
            found |= {"sasl.mechanism": self.mechanism, "sasl.username": self.user, "sasl.password": self.password}
        files = {
            "ssl.ca.location": self.ca,
            "ssl.certificate.location": self.certificate,
            "ssl.key.location": self.key,
        }
        return found | {name: str(file) for name, file in files.items() if file}

    def of_java(self) -> dict[str, str]:
        """Options of a client in Java. Raises: UsageError when a PEM file cannot be read."""
        found: dict[str, str] = {"security.protocol": self.protocol}
        if self.is_sasl:
            module = f"org.apache.kafka.common.security.{_MODULES.get(self.mechanism, _SCRAM)}"
            jaas = f"{module} required username={_quoted(self.user)} password={_quoted(self.password)};"
            found |= {"sasl.mechanism": self.mechanism, "sasl.jaas.config": jaas}
        if self.ca:
            found |= {"ssl.truststore.type": "PEM", "ssl.truststore.certificates": _text(self.ca)}
        if self.certificate and self.key:
            found |= {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.certificate.chain": _text(self.certificate),
                "ssl.keystore.key": _text(self.key),
            }
        return found

    def tls(self) -> ssl.SSLContext | None:
        """The same for a client that takes Python's own context. Raises: UsageError when a file cannot be read."""
        if not self.is_tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate and self.key:
                context.load_cert_chain(self.certificate, self.key)
        except OSError as error:
            raise UsageError(f"certificates for Kafka cannot be read: {error}", hint=_HINT) from None
        return context


_HINT = "CORRENTEZA_KAFKA_CA, CORRENTEZA_KAFKA_CERTIFICATE and CORRENTEZA_KAFKA_KEY name PEM files"
READERS = "correnteza-readers"
"""The consumer group of all who have their partitions assigned by hand and commit nothing: the client requires one."""

_PLAIN = Login()
_LOGINS: dict[str, Login] = {}
"""Bootstrap address → how to log in there. What is not known is loopback's embedded broker: plain."""

_REFUSALS: dict[str, str] = {}
"""Bootstrap address → why its brokers refused this process."""


def use(bootstrap: str, login: Login) -> None:
    """Log in this way to the cluster at an address from now on."""
    _LOGINS[bootstrap] = login


def login_of(bootstrap: str) -> Login:
    """How to log in to the cluster at an address."""
    return _LOGINS.get(bootstrap, _PLAIN)


def client(bootstrap: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The configuration of a producer, a consumer or an administration client of librdkafka.

    It writes nothing to stderr: what matters comes as an error, and is said once.
    """
    return {
        "bootstrap.servers": bootstrap,
        **login_of(bootstrap).of_librdkafka(),
        "log_level": 0,
        "error_cb": lambda error: _heard(bootstrap, error),
        **(options or {}),
    }


def no_answer(client: Any, bootstrap: str, error: Exception) -> DependencyUnavailable:
    """What to raise when a request of a client has failed: to its caller a refused log-in looks like silence."""
    client.poll(0)  # hears what it was told
    if bootstrap in _REFUSALS:
        return DependencyUnavailable(
            f"the broker at {bootstrap} does not let us in: {_REFUSALS[bootstrap]}",
            hint="correnteza config show; the settings from kafka_security to kafka_key say how to log in",
        )
    return TransientError(f"the broker does not answer: {error}", hint="correnteza up broker")


def _heard(bootstrap: str, error: Any) -> None:
    if error.name() not in ("_AUTHENTICATION", "_SSL"):
        return
    reason = error.str().partition(": ")[2] or error.str()  # the address stands before it
    if bootstrap not in _REFUSALS:
        log.get_logger("kafka").error("kafka_login_refused", bootstrap=bootstrap, reason=reason)
    _REFUSALS[bootstrap] = reason


def spark(bootstrap: str) -> dict[str, str]:
    """The options of a Spark reader of Kafka."""
    options = {"bootstrap.servers": bootstrap, **login_of(bootstrap).of_java()}
    return {f"kafka.{name}": value for name, value in options.items()}


def _quoted(text: str | None) -> str:
    """A value in a JAAS line."""
    escaped = (text or "").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {type(error).__name__}", hint=_HINT) from None
