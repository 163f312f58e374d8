"""A SCRAM verifier matches one password, with any salt; those that the server made are recognised."""

import pytest

from correnteza.scram import is_of, new_verifier

OF_THE_SERVER = (
    "SCRAM-SHA-256$4096:Qm9ndXNTYWx0MTIzNDU2Nw==$iSNOTREAL0000000000000000000000000000000000=:"
    "NOTREAL0000000000000000000000000000000000000="
)


def test_a_verifier_is_of_its_password_alone_and_never_the_same_twice():
    first, second = new_verifier("pass-word"), new_verifier("pass-word")
    assert first != second
    assert (is_of("pass-word", first), is_of("pass-word", second), is_of("pass-ward", first)) == (True, True, False)
    assert "pass-word" not in first


@pytest.mark.parametrize("kept", [None, "", "md5a9b8", "SCRAM-SHA-256$x:y$z", OF_THE_SERVER])
def test_what_is_of_another_kind_or_password_is_not_of_it(kept):
    assert not is_of("pass-word", kept)
