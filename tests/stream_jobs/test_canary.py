"""The canary goes through bronze, silver and gold as every record does, and no answer to a user holds it."""

from collections.abc import Iterator

import pytest

from correnteza.commands.checkpoint import _topic
from foundation.errors import UsageError
from monitoring import snapshot
from monitoring.lag import canary as lag
from monitoring.lake import Lake
from producers.schedule.canary import Canary
from schemas.contracts import CANARY, CANARY_TABLE, datasets, load_all
from stream_jobs.gold.canary import GOLD, GoldCanary
from stream_jobs.gold.dictionary import text
from stream_jobs.silver.canary import SILVER, SilverCanary
from tests.pipeline import Pipeline


class CanaryPipeline:
    """The canary's queries of all layers in one pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        pipeline.declare(CANARY)
        settings = pipeline.settings
        self.canary = Canary(settings.bootstrap, settings.topic_prefix, pipeline.registry.register, 60)
        self._bronze = pipeline.bronze(CANARY)

    def drive(self) -> None:
        """What the driver's three queries do."""
        self.pipeline.run(self._bronze)
        self.pipeline.run(SilverCanary(self.pipeline.driver))
        self.pipeline.run(GoldCanary(self.pipeline.driver))

    def newest(self) -> dict[str, lag.CanaryArrival | None]:
        return lag.newest(self.pipeline.settings.lake_root)


@pytest.fixture
def canary_pipeline(pipeline: Pipeline) -> CanaryPipeline:
    return CanaryPipeline(pipeline)


def behind(canary_pipeline: CanaryPipeline, sent: int) -> Iterator[str]:
    """The stages whose newest canary is not the last of those that were sent."""
    last = max(canary_pipeline.pipeline.committed(CANARY))[1]
    assert len(canary_pipeline.pipeline.committed(CANARY)) == sent
    for stage, column in (("bronze", "offset"), ("silver", "kafka_offset"), ("gold", "kafka_offset")):
        held = [row[column] for row in canary_pipeline.pipeline.rows(f"{stage}.{CANARY_TABLE}")]
        newest = canary_pipeline.newest()[stage]
        if newest is None or last not in held:
            yield f"{stage} has an old canary"


def answers(canary_pipeline: CanaryPipeline) -> list[str]:
    """Answers to a user that contain the canary."""
    found = [
        f"{name} can be asked"
        for name in Lake(canary_pipeline.pipeline.settings.lake_root).snapshots
        if "canary" in name
    ]
    found += [f"{name} is a dataset" for name in datasets() if "canary" in name]
    return found + (["the data dictionary"] if "canary" in text() else [])


def test_control_the_canary_passes_every_layer_and_is_old_where_the_driver_has_stopped(canary_pipeline, control):
    canary_pipeline.canary.send()
    canary_pipeline.drive()
    control.holds(behind, canary_pipeline, 1)
    first = canary_pipeline.newest()
    assert all(each.seconds >= 0 for each in first.values())
    assert first["bronze"].visible_at <= first["silver"].visible_at <= first["gold"].visible_at
    # To the millisecond: Kafka's timestamps have no more.
    assert {round(each.sent_at) for each in first.values()} == {round(first["gold"].sent_at)}

    canary_pipeline.canary.send()
    control.objects(behind, canary_pipeline, 2, damage=("bronze has an old", "silver has an old", "gold has an old"))
    assert canary_pipeline.newest() == first
    canary_pipeline.drive()
    assert list(behind(canary_pipeline, 2)) == []
    second = canary_pipeline.newest()
    assert all(second[stage].is_after(first[stage]) for stage in second)
    assert [len(canary_pipeline.pipeline.rows(name)) for name in (SILVER, GOLD)] == [2, 1]
    assert canary_pipeline.pipeline.contradictions(*load_all()) == {}


def test_control_no_answer_to_a_user_holds_the_canary(canary_pipeline, control, monkeypatch):
    canary_pipeline.canary.send()
    canary_pipeline.drive()
    assert canary_pipeline.pipeline.rows(GOLD)
    control.holds(answers, canary_pipeline)
    with pytest.raises(UsageError):
        Lake(canary_pipeline.pipeline.settings.lake_root).sql(f"FROM {GOLD}")
    monkeypatch.setattr(snapshot, "CANARY_TABLE", "")
    can_be_asked = (
        f"bronze.{CANARY_TABLE} can be asked",
        f"silver.{CANARY_TABLE} can be asked",
        f"gold.{CANARY_TABLE} can be asked",
    )
    control.objects(answers, canary_pipeline, damage=can_be_asked)


def test_its_checkpoints_can_be_begun_anew(canary_pipeline):
    canary_pipeline.canary.send()
    canary_pipeline.drive()
    assert _topic(canary_pipeline.pipeline.settings, f"bronze.{CANARY_TABLE}") == canary_pipeline.pipeline.topic(CANARY)
    canary_pipeline.pipeline.driver.locks.release()
    for query in (SILVER, GOLD):
        canary_pipeline.pipeline.adopt(query)
    canary_pipeline.drive()
    assert len(canary_pipeline.pipeline.rows(GOLD)) == 1
    assert list(behind(canary_pipeline, 1)) == []
