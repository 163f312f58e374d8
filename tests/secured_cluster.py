"""A broker that requires TLS, a password and an ACL of each client: SASL_SSL with SCRAM, and an authorizer.

Its own traffic, and the administrator who makes the users, come with a certificate on listeners of their own.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from correnteza.embedded import broker, ports
from correnteza.embedded.stack import Stack
from correnteza.settings import Settings
from foundation import kafka
from tests.helpers import wait_for

PASSWORDS = {role: f"{role}-canary-5b1e9c" for role in ("admin", "poller", "stream", "monitor", "stranger")}
"""Role → password of its user, who has the role's name."""

_SECURED = """\
process.roles=broker,controller
node.id=1
listeners=CLIENTS://{{address}},INTERNAL://{internal},CONTROLLER://{{controller}}
advertised.listeners=CLIENTS://{{address}},INTERNAL://{internal}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CLIENTS:SASL_SSL,INTERNAL:SSL,CONTROLLER:SSL
inter.broker.listener.name=INTERNAL
controller.quorum.bootstrap.servers={{controller}}
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.clients.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={pems}/node.pem
ssl.truststore.type=PEM
ssl.truststore.location={pems}/ca.pem
listener.name.internal.ssl.client.auth=required
listener.name.controller.ssl.client.auth=required
ssl.principal.mapping.rules=RULE:^CN=(.*?)$/$1/
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:node
"""


@dataclass(frozen=True)
class SecuredCluster:
    """A running one.

    Attributes:
        bootstrap: of the clients' listener.
        internal: of the listener that takes the node's own certificate.
        pems: folder with `ca.pem`, and `node.crt` and `node.key`, the certificate and key of the superuser.
    """

    bootstrap: str
    internal: str
    pems: Path

    def login(self, user: str, password: str | None = None) -> kafka.Login:
        """How a user logs in."""
        given = password or PASSWORDS[user]
        return kafka.Login("SASL_SSL", user=user, password=given, ca=self.pems / "ca.pem")

    def variables(self, user: str) -> dict[str, str]:
        """The environment of a command that one of the users runs."""
        file = self.pems / f"{user}.password"
        file.write_text(PASSWORDS[user] + "\n")
        return {
            "CORRENTEZA_KAFKA_BOOTSTRAP": self.bootstrap,
            "CORRENTEZA_KAFKA_SECURITY": "SASL_SSL",
            "CORRENTEZA_KAFKA_USER": user,
            "CORRENTEZA_KAFKA_PASSWORD_FILE": str(file),
            "CORRENTEZA_KAFKA_CA": str(self.pems / "ca.pem"),
        }


@contextmanager
def secured_cluster(folder: Path) -> Iterator[SecuredCluster]:
    """The broker, its users made, without a single rule."""
    pems = folder / "pems"
    pems.mkdir(parents=True)
    write_pems(pems)
    internal = f"127.0.0.1:{ports.remembered(folder / 'ports.json', ('internal',))['internal']}"
    node = kafka.Login("SSL", ca=pems / "ca.pem", certificate=pems / "node.crt", key=pems / "node.key")
    kafka.use(internal, node)
    rest = broker._PROPERTIES.partition("log.dirs=")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(broker, "_PROPERTIES", _SECURED.format(internal=internal, pems=pems) + rest[1] + rest[2])
        patch.setattr(broker, "answers_metadata", lambda listen: _answers(internal))
        with Stack(Settings(home=folder / "home"), ("broker",)) as stack:
            admin = AdminClient(kafka.client(internal))
            wait_for(lambda: _users_are_made(admin), "the users are made")
            yield SecuredCluster(stack.endpoints["kafka_bootstrap"], internal, pems)


def _answers(internal: str) -> bool:
    host, _, port = internal.partition(":")
    return ports.accepts(host, int(port)) and bool(AdminClient(kafka.client(internal)).list_topics(timeout=5).brokers)


def _users_are_made(admin: AdminClient) -> bool:
    information = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    wanted = [UserScramCredentialUpsertion(name, information, word.encode()) for name, word in PASSWORDS.items()]
    for answer in admin.alter_user_scram_credentials(wanted).values():
        answer.result()
    return True


def write_pems(folder: Path) -> None:
    """`ca.pem`; `node.crt` and `node.key` of a node on the loopback interface, and `node.pem` with both."""
    ca_key, node_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _certificate("authority", ca_key, "authority", ca_key, is_ca=True)
    node = _certificate("node", node_key, "authority", ca_key, is_ca=False)
    pem = serialization.Encoding.PEM
    key = node_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files: Mapping[str, bytes] = {
        "ca.pem": authority.public_bytes(pem),
        "node.crt": node.public_bytes(pem),
        "node.key": key,
        "node.pem": key + node.public_bytes(pem) + authority.public_bytes(pem),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    is_ca: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    named = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer)]
    return (
        x509.CertificateBuilder()
        .subject_name(named[0])
        .issuer_name(named[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )
