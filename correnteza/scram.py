"""What PostgreSQL keeps of a password: a SCRAM verifier (RFC 5803), from which the password cannot be read."""

import base64
import hashlib
import hmac
import os

KIND = "SCRAM-SHA-256"
ITERATIONS = 4096
"""PostgreSQL's own number. The passwords are long and generated, so more would protect nothing."""


def new_verifier(password: str) -> str:
    """The verifier of an ASCII password, with a new salt."""
    return _verifier(password, os.urandom(16), ITERATIONS)


def is_of(password: str, kept: str | None) -> bool:
    """Whether what PostgreSQL keeps is of this password; not if it is of an older kind, or nothing."""
    try:
        kind, parameters, _ = (kept or "").split("$")
        iterations, salt = parameters.split(":")
        known = _verifier(password, base64.b64decode(salt), int(iterations))
    except ValueError:
        return False
    return kind == KIND and hmac.compare_digest(known, str(kept))


def _verifier(password: str, salt: bytes, iterations: int) -> str:
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    texts = [base64.b64encode(each).decode() for each in (salt, stored, server)]
    return f"{KIND}${iterations}:{texts[0]}${texts[1]}:{texts[2]}"
