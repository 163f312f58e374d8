"""The probe of a store, against a real one and one that does not keep conditions."""

from storage.location import location
from storage.probe import probe


def wrong(lake):
    """The oracle: what the probe says of a store as this process reaches it."""
    return probe(location(str(lake)))


def test_control_a_store_that_ignores_conditions_is_detected(lake, liar, control):
    control.holds(wrong, lake)
    liar.lie = lambda method, path, headers: "unconditional" if {"if-none-match", "if-match"} & headers.keys() else None
    control.objects(
        wrong, lake, damage=("not exactly one succeeds", "is replaced although it has changed since it was read")
    )
