"""The codes that ANATEL's CSV files have in common."""

import re
from collections.abc import Callable
from typing import Any

from producers.formats import values

Read = Callable[[str], Any]
"""Text → value. Raises: BadValueError."""

_WHOLE_FLOAT = re.compile(r"\s*([0-9]+)\.0\s*")


def code(read: Read) -> Read:
    """The same reader for a code that pandas may have turned into a float; no code of ANATEL's ends in `.0`.

    Otherwise the digit of the fraction would become part of the code: a CNPJ that also lost its leading zero would have
        14 digits again, but wrong ones.
    """

    def checked(text: str) -> Any:
        match = _WHOLE_FLOAT.fullmatch(text)
        return read(match[1] if match else text)

    return checked


CNPJ = code(values.cnpj)
MUNICIPALITY = code(values.digits(7))
