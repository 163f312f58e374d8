"""Which archived payload last stated which keys. The next edition is compared with these payloads.

Each day of a scope belongs to one holding. An edition takes over the days that it states; the other days stay with the
payload that stated them. So a month that moves from one member to another is compared with the member it came from.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from producers.model import Holding, PartState
from producers.scope import Scope

MOST = 100
"""How many payloads a cursor stores in addition to one per part; for older ones only the days are kept."""


def of(part: str, state: PartState, scope: str, next_row: int | None = None) -> Holding:
    """The holding of an edition. Args: next_row: the row up to which it was published, if it is not complete."""
    return Holding(part, state.name, state.payload_sha256, state.retrieved_at, state.known_from, scope, next_row)


def after(holdings: Sequence[Holding], new: Holding, parts: int) -> list[Holding]:
    """The holdings after an edition was published completely.

    Args:
        parts: how many the resource has: a zip of 600 stations has as many holdings.
    """
    taken = Scope.of(new.scope)
    left = []
    for holding in holdings:
        scope = Scope.of(holding.scope)
        rest = scope.without(taken)
        if rest is scope:
            left.append(holding)  # of another station: the zip of a year has 600
        elif rest is not None:
            left.append(replace(holding, scope=rest.text))
    left.append(new)
    surplus = len(left) - parts - MOST
    return [*_forgotten(left[: surplus + 1]), *left[surplus + 1 :]] if surplus > 0 else left


def _forgotten(holdings: Iterable[Holding]) -> list[Holding]:
    """One holding without a payload for all holdings of the same keys: only their days are kept."""
    found: dict[tuple[object, object], Holding] = {}
    for holding in holdings:
        scope = Scope.of(holding.scope)
        same = (scope.datasets, scope.where)
        if same in found:
            scope = scope.joined(Scope.of(found[same].scope))
        found[same] = replace(holding, payload_sha256="", scope=scope.text)
    return list(found.values())


def former(holdings: Iterable[Holding], scope: Scope) -> list[Holding]:
    """The holdings that stated a part of the scope, each with that part."""
    found = []
    for holding in holdings:
        shared = Scope.of(holding.scope).common(scope)
        if shared is not None:
            found.append(replace(holding, scope=shared.text))
    return found
