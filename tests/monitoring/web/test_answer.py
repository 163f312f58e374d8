"""The page begins with a summary, and the summary follows from the document."""

import pytest

from monitoring.web.answer import answer
from monitoring.web.sections import layers
from tests.monitoring.web import documents
from tests.monitoring.web.documents import NOW, text


def said(document):
    found = answer(document, NOW)
    return found.level, found.title, [f"{each.word} {each.what}" for each in found.troubles]


def test_a_pipeline_that_is_well_is_fresh():
    assert said(documents.well()) == ("ok", "Everything is fresh.", [])


def test_before_the_first_look_nothing_is_claimed():
    assert said(documents.empty())[:2] == ("unknown", "Nothing has been looked at yet.")


def change(where, name=None, **values):
    """The healthy document, in which one thing is otherwise."""
    document = documents.well()
    key = {"layers": "table", "sources": "source", "parts": "part", "retention": "table"}[where]
    next(each for each in document[where] if each[key] == name).update(values)
    return document


@pytest.mark.parametrize(
    ("where", "name", "values", "level", "words"),
    [
        ("layers", "bcb_sgs", {"state": "stopped"}, "bad", "Stopped bronze.bcb_sgs"),
        ("layers", "bcb_sgs", {"state": "stalled"}, "bad", "Stalled bronze.bcb_sgs"),
        ("layers", "bcb_sgs", {"state": "topic_replaced"}, "bad", "Its topic was recreated bronze.bcb_sgs"),
        ("layers", "bcb_sgs", {"state": "behind", "seconds_behind": 601.0}, "late", "Late bronze.bcb_sgs"),
        ("layers", "bcb_sgs", {"state": "not_started", "records_behind": 5}, "late", "Not started bronze.bcb_sgs"),
        ("layers", "bcb_sgs", {"state": "unknown", "records_behind": None}, "unknown", "Not known bronze.bcb_sgs"),
        ("sources", "bcb_sgs", {"circuit_open": True}, "bad", "Failing bcb_sgs"),
        ("sources", "bcb_sgs", {"overdue_slots": 3}, "late", "Not polled bcb_sgs"),
        ("sources", "bcb_sgs", {"periods_missing": 2}, "late", "Expected and not arrived bcb_sgs"),
        ("parts", "driver", {"up": False}, "bad", "No answer from the stream driver"),
        ("parts", "registry", {"up": False}, "unknown", "No answer from the schema registry"),
        ("retention", "bcb_sgs", {"seconds_to_loss": 6.0, "used_ratio": 0.9}, "bad", "About to be lost bronze.bcb_sgs"),
        ("retention", "bcb_sgs", {"seconds_to_loss": 0.0, "used_ratio": 1.0}, "bad", "Lost bronze.bcb_sgs"),
    ],
)  # fmt: skip
def test_one_thing_that_is_wrong_is_named_alone(where, name, values, level, words):
    found = said(change(where, name, **values))
    title = "Not everything is known." if level == "unknown" else "Not everything is fresh."
    assert found == (level, title, [words])


@pytest.mark.parametrize(
    ("where", "name", "values"),
    [
        ("layers", "bcb_sgs", {"state": "behind", "seconds_behind": 30.0, "records_behind": 9}),
        ("layers", "bcb_sgs", {"state": "not_started", "records_behind": 0}),
        ("sources", "bcb_sgs", {"overdue_slots": 1}),
        ("sources", "bcb_sgs", {"state": "never", "periods_missing": None, "overdue_slots": 0, "outcomes": []}),
        ("retention", "bcb_sgs", {"seconds_to_loss": 3600.0, "used_ratio": 0.1}),
    ],
)
def test_what_is_usual_is_no_problem(where, name, values):
    assert said(change(where, name, **values))[0] == "ok"


@pytest.mark.parametrize("newest", [text(NOW - 601), None])
def test_a_canary_that_does_not_arrive_is_a_problem_whatever_else_is_right(newest):
    document = documents.well()
    document["canary"]["gold"] = {"newest_at": newest, "seconds": None}
    assert said(document) == ("bad", "Not everything is fresh.", ["Canary missing in gold"])


@pytest.mark.parametrize(("interval", "is_missing"), [(60, True), (600, False), (0, False)])
def test_a_canary_is_missed_by_its_interval_and_never_where_none_is_sent(interval, is_missing):
    document = documents.well()
    document["canary"]["gold"] = {"newest_at": text(NOW - 1200), "seconds": 1200.0}
    troubles = said(document | {"canary_interval_seconds": interval})[2]
    assert troubles == ["Canary missing in gold"] * is_missing


def test_before_the_first_canary_nothing_is_claimed():
    document = documents.well()
    document["canary"] = {stage: {"newest_at": None, "seconds": None} for stage in document["canary"]}
    assert said(document) == ("unknown", "Not everything is known.", ["No test record yet in any layer"])


def test_a_canary_whose_query_is_stopped_has_its_reason():
    """As the document of `status --json` has it."""
    document = documents.well()
    document["canary"]["silver"] = {"newest_at": None, "seconds": None, "reason": "refused", "hint": "adopt it"}
    (trouble,) = answer(document, NOW).troubles
    assert (trouble.reason, trouble.hint) == ("refused", "adopt it")


def test_the_values_of_a_part_that_is_down_are_not_reported_table_by_table():
    document = documents.well()
    document["parts"][0] |= {"up": False, "reason": "Connection refused"}
    for line in document["layers"]:
        if line["layer"] == "bronze":
            line |= {"state": "unknown", "records_behind": None, "seconds_behind": None}
    assert said(document)[2] == ["No answer from Kafka"]


def test_sixty_late_tables_are_one_line_that_names_the_latest():
    (late,) = [each for each in answer(documents.huge(), NOW).troubles if each.word == "Late"]
    assert late.what.endswith("_59, silver.dataset_of_some_publisher_59, gold.dataset_of_some_publisher_59, "
                              "bronze.dataset_of_some_publisher_58 and 176 more tables")  # fmt: skip


def test_sources_with_one_problem_are_one_line():
    document = documents.huge()
    for each in document["sources"]:
        each |= {"periods_missing": 2}
    (missing,) = [each for each in answer(document, NOW).troubles if each.word == "Expected and not arrived"]
    assert missing.what.endswith("source_of_some_publisher_03 and 56 more sources")
    assert missing.reason == "120 periods should have been published by now."


@pytest.mark.parametrize(("unreachable", "level"), [([], "ok"), ([{"service": "kafka"}], "unknown")])
def test_a_query_that_never_started_waits_for_its_topic_or_is_unknown(unreachable, level):
    document = documents.well() | {"unreachable": unreachable}
    document["layers"][0] |= {"state": "not_started", "records_behind": None, "seconds_behind": None}
    assert layers(document, {}, NOW)[0].level == level


def test_a_document_of_status_has_an_answer_too():
    """It has no parts and no sources; Kafka was away."""
    document = documents.empty() | {
        "layers": [documents.line("bronze", "bcb_sgs", "unknown", None, None)],
        "unreachable": [{"service": "kafka", "reason": "refused", "hint": "correnteza up"}],
    }
    assert said(document)[2] == ["No answer from kafka"]
