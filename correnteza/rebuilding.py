"""A rebuild from its first step to its last: build the shadow, compare it with the live tables, have it swapped in."""

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from pyspark.sql import SparkSession

from correnteza.rules import quarantining
from foundation.errors import UnsafeState
from foundation.failpoints import failpoint
from foundation.files import replace_file
from monitoring.proof import rebuilt
from monitoring.proof.checks.model import Finding
from monitoring.proof.rebuilt import Compared, Subject
from schemas import contracts
from stream_jobs.gold import model as gold
from stream_jobs.gold import reference
from stream_jobs.places import QUARANTINE, Places
from stream_jobs.rebuild import plan, run, shadow
from stream_jobs.rebuild.run import Run
from stream_jobs.rebuild.shadow import Shadow
from stream_jobs.running import handover
from stream_jobs.running.handover import FOLDER, Rebuild, shadow_of, tables_of


def go_on(
    places: Places,
    this: Run,
    *,
    spark: Callable[[], SparkSession],
    accept: bool,
    say: Callable[[str], None],
    stop: threading.Event,
) -> None:
    """Bring a rebuild from where it stands to its end.

    Args:
        spark: the session; asked for only where a shadow is built.
        accept: whether tables may be swapped in that differ from the live ones.

    Raises:
        UnsafeState: a rebuilt table is not what `verify` says it must be, or it differs and that was not accepted;
            or a swap was not done in time.
    """
    for query in this.queries:
        state = run.enter(places, this, query)
        if state.phase in ("building", "built"):
            state = _built(places, state, spark(), say, stop)
            _judge(places, query, accept=accept, say=say)
            failpoint("validated")
            # What came while the two were compared; and what came since, the live query reads.
            Shadow(spark(), places, query, state.generation).catch_up(stop)
        if state.phase in ("building", "built", "swap_wanted") and handover.is_ahead(places, state):
            _catch_up_live(places, query, spark(), say, stop)
        if state.phase not in run.ENDED:
            run.hand_over(places, state, "swap_wanted")
            say(f"{query}: swapped in as generation {state.generation}")
        shadow.remove(places, query)


def _built(
    places: Places, state: Rebuild, spark: SparkSession, say: Callable[[str], None], stop: threading.Event
) -> Rebuild:
    say(f"{state.query}: building its shadow …")
    rows, seconds = Shadow(spark, places, state.query, state.generation).catch_up(stop)
    failpoint("shadow_built")
    say(f"{state.query}: {rows:,} rows read in {seconds:.1f} s")
    if state.phase == "building":
        plan.note_rate(places, state.query, rows, seconds)
    return handover.write(places, replace(state, phase="built"))


def _catch_up_live(
    places: Places, query: str, spark: SparkSession, say: Callable[[str], None], stop: threading.Event
) -> None:
    try:
        shadow.catch_up_live(spark, places, query, stop)
    except UnsafeState as refused:
        say(f"{query}: its live query does not start ({refused}); gold must be rebuilt after it")


def _judge(places: Places, query: str, *, accept: bool, say: Callable[[str], None]) -> None:
    """Raises: UnsafeState when the shadow must not be swapped in. What was found is kept in `differences.json`."""
    subject = subject_of(places, query)
    wrong = rebuilt.wrong(subject)
    compared = [] if wrong else rebuilt.compared(subject)
    file = places.checkpoints / FOLDER / query / "differences.json"
    found = {"wrong": [asdict(each) for each in wrong], "compared": [asdict(each) for each in compared]}
    replace_file(file, json.dumps(found, indent=1))
    for line in [*(_in_line(each) for each in wrong), *(line for each in compared for line in _in_lines(each))]:
        say(line)
    if wrong:
        raise UnsafeState(
            f"the rebuilt tables of {query} are not what verify says they must be; nothing was swapped",
            hint="mend what verify names, then correnteza rebuild --resume; or correnteza rebuild --abandon",
        )
    if not accept and any(each.differences for each in compared):
        raise UnsafeState(
            f"the rebuilt tables of {query} differ from the live ones; nothing was swapped. All of it: {file}",
            hint="if that is as it should be: correnteza rebuild --resume --accept-difference; else --abandon",
        )


def _in_lines(each: Compared) -> list[str]:
    if not each.differences:
        return [f"{each.table}: {each.rebuilt.rows:,} rows, as the live table's"]
    head = f"{each.table}: {each.live.rows:,} rows live, {each.rebuilt.rows:,} rebuilt"
    return [head, *(_in_line(found) for found in each.differences)]


def _in_line(found: Finding) -> str:
    return "\n".join([f"  {found.where}: {found.what}", *(f"      {each}" for each in found.examples)])


def subject_of(places: Places, query: str) -> Subject:
    """What is compared of a query."""
    aside = shadow_of(places, query)
    return Subject(
        query=query,
        lake=Path(places.lake),
        checkpoints=places.checkpoints,
        shadow={table: Path(aside.table(table)) for table in tables_of(query)},
        shadow_checkpoints=aside.checkpoints,
        keys=_keys(query),
        contracts=contracts.load_all(),
        rules=quarantining(),
        reference=reference.FOLDER,
    )


def _keys(query: str) -> dict[str, tuple[str, ...]]:
    """Table → the columns that name a row."""
    name = query.partition(".")[2]
    if query.startswith("gold."):
        return {query: gold.discover()[name].keys}
    key = contracts.load(name).key
    records = ("topic_id", "topic", "kafka_partition", "kafka_offset", "chunk_id")
    return {f"{query}_revisions": (*key, "known_from"), query: key, QUARANTINE: records}
