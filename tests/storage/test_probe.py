"""The probe of a store, against a real one and one that does not keep conditions."""

from storage import files
from storage.location import location
from storage.probe import keeps_versions, probe


def wrong(lake):
    """The oracle: what the probe says of a store as this process reaches it."""
    return probe(location(str(lake)))


def test_control_a_store_that_ignores_conditions_is_detected(lake, liar, control):
    control.holds(wrong, lake)
    liar.lie = lambda method, path, headers: "unconditional" if {"if-none-match", "if-match"} & headers.keys() else None
    control.objects(
        wrong, lake, damage=("not exactly one succeeds", "is replaced although it has changed since it was read")
    )


def test_control_a_bucket_that_keeps_former_versions_is_found_out(lake, versioned, control):
    def kept(place) -> list[str]:
        return ["what is deleted there stays"] if keeps_versions(place) else []

    control.holds(kept, lake)
    control.objects(kept, versioned, damage="what is deleted there stays")
    assert files.entries(versioned / "_probe") == []
