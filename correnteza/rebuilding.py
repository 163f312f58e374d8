"""All steps of a rebuild: build the shadow, compare it with the live tables, and have it swapped in."""

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, replace

from pyspark.sql import SparkSession

from correnteza import audit, recovering
from correnteza.rules import quarantining
from foundation import clock
from foundation.errors import UnsafeState
from foundation.failpoints import failpoint
from foundation.files import replace_file
from monitoring.lag.kafka import Cluster
from monitoring.proof import rebuilt
from monitoring.proof.checks.model import Finding
from monitoring.proof.rebuilt import Compared, Subject
from producers.archive import Archive
from producers.republished import Manifest
from schemas import contracts
from sinks.ops import gaps
from storage.location import Location, location
from stream_jobs.bronze.job import BronzeJob
from stream_jobs.gold import model as gold
from stream_jobs.gold import reference
from stream_jobs.places import QUARANTINE, Places
from stream_jobs.rebuild import plan, run, shadow
from stream_jobs.rebuild.bronze import RECOVERED, Kafka
from stream_jobs.rebuild.run import Run
from stream_jobs.rebuild.shadow import Shadow
from stream_jobs.running import handover
from stream_jobs.running.handover import Rebuild
from stream_jobs.running.shadows import FOLDER, shadow_of, tables_of


def resume(
    places: Places,
    this: Run,
    *,
    spark: Callable[[], SparkSession],
    accept: bool,
    say: Callable[[str], None],
    stop: threading.Event,
    kafka: Kafka | None = None,
    archive: Location | None = None,
) -> None:
    """Continue a rebuild from its present state to its end.

    Args:
        spark: returns the session; called only if a shadow is built.
        accept: whether tables that differ from the live ones may be swapped in.
        kafka: the inputs of bronze; not needed for other layers.
        archive: the payloads from which lost rows of bronze are recovered; None uses none.

    Raises:
        UnsafeState: a rebuilt table does not pass the checks of `verify`, or it differs and that was not accepted, or a
            swap was not done in time.
    """
    for query in this.queries:
        state = run.state_or_new(places, this, query)
        if state.phase in ("building", "built"):
            copies_live = this.origin != "archive"
            built = Shadow(spark(), places, query, state.generation, kafka, copies_live=copies_live)
            is_bronze = query.startswith("bronze.")
            known = recovering.manifests(places) if is_bronze else []
            state = _built(places, state, built, say, stop)
            if is_bronze:
                _recover(places, built, known, archive if this.origin != "kafka" else None, accept=accept, say=say)
            _judge(places, subject_of(places, query, kafka), accept=accept, say=say)
            failpoint("validated")
            # Read the rows that came during the comparison; the live query reads the ones after it.
            built.catch_up(stop)
        if state.phase in ("building", "built", "swap_wanted") and handover.is_ahead(places, state):
            _catch_up_live(places, query, spark(), say=say, stop=stop, kafka=kafka)
        if state.phase not in run.ENDED:
            run.hand_over(places, state, "swap_wanted")
            say(f"{query}: swapped in as generation {state.generation}")
        shadow.remove(places, query)


def _built(places: Places, state: Rebuild, built: Shadow, say: Callable[[str], None], stop: threading.Event) -> Rebuild:
    say(f"{state.query}: building its shadow …")
    rows, seconds = built.catch_up(stop)
    failpoint("shadow_built")
    say(f"{state.query}: {rows:,} rows read in {seconds:.1f} s")
    if state.phase == "building":
        plan.note_rate(places, state.query, rows, seconds)
    return handover.write(places, replace(state, phase="built"))


def _recover(
    places: Places,
    built: Shadow,
    known: list[Manifest],
    archive: Location | None,
    *,
    accept: bool,
    say: Callable[[str], None],
) -> None:
    """Add the rows to a bronze shadow that only the archive has.

    Raises: UnsafeState: rows cannot be recovered, and the loss was not accepted.
    """
    job, oldest = built.job, built.oldest
    assert isinstance(job, BronzeJob)
    found = recovering.recovery(
        places,
        job.name,
        location(built.places.table(job.name)),
        known,
        scratch=built.places.checkpoint(job.name) / RECOVERED,
        archive=None if archive is None else Archive(archive),
        topic=job.topic,
        first=oldest,
    )
    if found.file is not None:
        built.add(found.file)
        say(f"{job.name}: {found.rows:,} rows that Kafka no longer holds were recovered from the payload archive")
    for each in found.lost:
        say(f"{job.name}: {each}")
    if found.lost and not accept:
        raise UnsafeState(
            f"{job.name}: {len(found.lost)} chunks or partitions cannot be recovered completely",
            hint="restore the payloads, then correnteza rebuild --resume; or accept the loss, which ops.gaps then"
            " states: --resume --accept-difference",
        )
    if found.lost:
        topic_id, now = job.topic_id, clock.now()
        lost = [
            gaps.Gap(job.topic, topic_id, partition, 0, offset, "retention, and not in the archive", now, audit.user())
            for partition, offset in oldest.items()
            if offset
        ]
        gaps.declare(places.table(gaps.NAME), lost)


def _catch_up_live(
    places: Places,
    query: str,
    spark: SparkSession,
    *,
    say: Callable[[str], None],
    stop: threading.Event,
    kafka: Kafka | None,
) -> None:
    try:
        shadow.catch_up_live(spark, places, query, stop, kafka)
    except UnsafeState as refused:
        say(f"{query}: its live query does not start ({refused}); rebuild gold after it")


def _judge(places: Places, subject: Subject, *, accept: bool, say: Callable[[str], None]) -> None:
    """Raises: UnsafeState when the shadow must not be swapped in. The findings are stored in `differences.json`."""
    query = subject.query
    wrong = rebuilt.wrong(subject)
    compared = [] if wrong else rebuilt.compared(subject)
    file = places.checkpoints / FOLDER / query / "differences.json"
    found = {"wrong": [asdict(each) for each in wrong], "compared": [asdict(each) for each in compared]}
    replace_file(file, json.dumps(found, indent=1))
    for line in [*(_in_line(each) for each in wrong), *(line for each in compared for line in in_lines(each))]:
        say(line)
    if wrong:
        raise UnsafeState(
            f"the rebuilt tables of {query} are not what verify says they must be; nothing was swapped",
            hint="fix what verify names, then correnteza rebuild --resume; or correnteza rebuild --abandon",
        )
    # If the live tables are gone or empty, nothing can be lost.
    if not accept and any(each.live.rows for each in compared) and any(each.differences for each in compared):
        raise UnsafeState(
            f"the rebuilt tables of {query} differ from the live ones; nothing was swapped. All differences: {file}",
            hint="if the new content is right: correnteza rebuild --resume --accept-difference; else --abandon",
        )


def in_lines(each: Compared) -> list[str]:
    """The result of a comparison, for people."""
    if not each.differences:
        return [f"{each.table}: {each.rebuilt.rows:,} rows, the same as in the live table"]
    head = f"{each.table}: {each.live.rows:,} rows live, {each.rebuilt.rows:,} rebuilt"
    return [head, *(_in_line(found) for found in each.differences)]


def _in_line(found: Finding) -> str:
    return "\n".join([f"  {found.where}: {found.what}", *(f"      {each}" for each in found.examples)])


def subject_of(places: Places, query: str, kafka: Kafka | None = None) -> Subject:
    """The tables to compare for a query. Args: kafka: as in `resume`."""
    aside = shadow_of(places, query)
    return Subject(
        query=query,
        lake=location(places.lake),
        checkpoints=places.checkpoints,
        shadow={table: location(aside.table(table)) for table in tables_of(query)},
        shadow_checkpoints=aside.checkpoints,
        keys=_keys(query),
        contracts=contracts.load_all(),
        rules=quarantining(),
        reference=reference.FOLDER,
        cluster=None if kafka is None else Cluster(kafka.broker.bootstrap),
        topic_prefix="" if kafka is None else kafka.broker.prefix,
    )


def _keys(query: str) -> dict[str, tuple[str, ...]]:
    """Table → the columns that identify a row."""
    name = query.partition(".")[2]
    if query.startswith("bronze."):
        return {query: ("topic_id", "topic", "partition", "offset")}
    if query.startswith("gold."):
        return {query: gold.discover()[name].keys}
    key = contracts.load(name).key
    records = ("topic_id", "topic", "kafka_partition", "kafka_offset", "chunk_id")
    return {f"{query}_revisions": (*key, "known_from"), query: key, QUARANTINE: records}
