"""Servers that misbehave below HTTP, certificates of our own, and names that resolve as a test sets."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TLS_HELLO = b"\x16\x03"
"""How a client begins that wants TLS where there is none."""

Behave = Callable[[socket.socket], None]
"""Handles one connection whose request has been read."""


class SocketServer:
    """A server on the loopback interface whose connections a function handles.

    Attributes:
        requests: what each connection sent up to the empty line; asked_at: when, in seconds, monotonic.
    """

    def __init__(self, behave: Behave, context: ssl.SSLContext | None = None) -> None:
        self._behave, self._context = behave, context
        self._stopping = threading.Event()
        self.requests: list[bytes] = []
        self.asked_at: list[float] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def close(self) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        try:
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            request = b""
            while b"\r\n\r\n" not in request and not request.startswith(TLS_HELLO):
                block = connection.recv(65536)
                if not block:
                    return
                request += block
            self.asked_at.append(time.monotonic())
            self.requests.append(request)
            self._behave(connection)
        except OSError:
            pass  # the client gave up, which is what most tests here are about
        finally:
            connection.close()


@contextmanager
def socket_server(behave: Behave, context: ssl.SSLContext | None = None) -> Iterator[SocketServer]:
    """A server for one test."""
    server = SocketServer(behave, context)
    try:
        yield server
    finally:
        server.close()


def answer(body: bytes, *, status: str = "200 OK", **headers: str) -> Behave:
    """Answer properly, and close."""
    fields = {"Content-Length": str(len(body)), "Connection": "close"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())

    def behave(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)

    return behave


def reset(connection: socket.socket) -> None:
    """End with a TCP reset instead of an answer."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def drip(beginning: bytes, every: float) -> Behave:
    """Send this, and then a byte at a time, for ever."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(beginning)
        while True:
            connection.sendall(b"x")
            time.sleep(every)

    return behave


class FakeNetwork:
    """A simulated name service, and the routes to the simulated addresses.

    Attributes:
        found: name → its addresses at each question, the last ones for ever after.
        routes: address → the loopback port that a connection to it reaches; others are refused.
        connected: the addresses that were connected to.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.found: dict[str, list[list[str]]] = {}
        self.routes: dict[str, int] = {}
        self.connected: list[str] = []
        self._connect = socket.create_connection
        patch.setattr(socket, "getaddrinfo", self._resolve)
        patch.setattr(socket, "create_connection", self._route)

    def _resolve(self, host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        if host not in self.found:
            raise socket.gaierror(-2, "Name or service not known")
        questions = self.found[host]
        addresses = questions.pop(0) if len(questions) > 1 else questions[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    def _route(self, address: tuple[str, int], *args: object, **options: object) -> socket.socket:
        host = address[0]
        if host in self.found:  # as the system would: a name is resolved once more
            host = str(self._resolve(host, address[1])[0][4][0])  # type: ignore[index]
        self.connected.append(host)
        if host not in self.routes:
            raise ConnectionRefusedError(host)
        # What is under test stops here; the rest is the loopback interface.
        plain = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        plain.connect(("127.0.0.1", self.routes[host]))
        return plain


def certificate(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate for a name: its file, and the context of a server that has it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    return file, context
