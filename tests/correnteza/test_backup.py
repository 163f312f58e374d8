"""docs/backup.md, followed literally: a home is copied, goes on, is lost, and comes back."""

import json
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from correnteza.demo import recorded_at
from correnteza.embedded.stack import Stack
from correnteza.settings import Settings
from foundation import clock
from monitoring.lake import Lake
from replay.server import serve
from tests.helpers import UNMODIFIED, run_to_its_end

pytestmark = [pytest.mark.integration, pytest.mark.fault, pytest.mark.slow, pytest.mark.timeout(1800)]

PAGE = Path(__file__).parents[2] / "docs" / "backup.md"
DATASET = "bcb_sgs"
LAYERS = (f"bronze.{DATASET}", f"silver.{DATASET}_revisions", f"silver.{DATASET}", "gold.fact_economic_observation")
UNCHECKED = """
import sys
from stream_jobs.bronze import job
job.require_not_truncated = lambda *_: None
from correnteza.cli import main
sys.exit(main())
"""
"""A driver that does not look where its topics end."""


def commands(heading: str) -> list[str]:
    """The lines of the shell block below a heading of the page."""
    block = re.search(rf"^## {heading}\n```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert block
    return block[1].splitlines()


class Operator:
    """Somebody with a shell in the folder where the home `var` is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = Settings(home=folder / "var")

    def shell(self, lines: list[str]) -> None:
        """Run lines of the page, with the backup's folder in this test's own. For `up` broker and registry are enough:
        they run until the last line."""
        with ExitStack() as running:
            for line in lines:
                words = shlex.split(line.replace("/backup/", f"{self.folder}/backup/"), comments=True)
                if words[0] != "correnteza":
                    subprocess.run(words, cwd=self.folder, check=True)
                elif words[1] == "up":
                    running.enter_context(Stack(self.home))
                else:
                    assert self.ask(*words[1:]).returncode == 0, line

    def ask(
        self, *command: str, day: int = 1, start: Sequence[str] = UNMODIFIED, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command; the broker's address is that of the running stack."""
        at = f"{recorded_at(day).isoformat()}@1@{time.time()}"
        return run_to_its_end(self.home, self.folder, start, command, {clock.VARIABLE: at, **variables})

    def publish_and_stream(self, day: int, layers: str = "all") -> int:
        """Poll a recorded day and stream it; returns how many rows were published."""
        with Stack(self.home), serve(day=day) as replay:
            urls = json.dumps(replay.base_urls)
            assert self.ask("topics", "apply").returncode == 0
            polled = self.ask("poll", DATASET, "--json", day=day, CORRENTEZA_BASE_URLS=urls)
            assert polled.returncode == 0, polled.stderr
            streamed = self.ask("run", layers, "--once", day=day)
            assert streamed.returncode == 0, streamed.stderr
            assert self.ask("verify", "--full").returncode == 0
        return int(json.loads(polled.stdout)["rows"])

    def rows(self) -> dict[str, int]:
        """Rows of each layer's table."""
        lake = Lake(self.home.lake_root)
        return {name: int(str(lake.value(f"SELECT count(*) FROM {name}", []))) for name in LAYERS}

    def offsets(self) -> list[dict[str, object]]:
        """Of bronze, per partition: how many records, and the last one's offset."""
        query = f'SELECT partition, count(*) AS n, max("offset") AS last FROM {LAYERS[0]} GROUP BY 1 ORDER BY 1'
        return list(Lake(self.home.lake_root).rows(query, []))


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    (tmp_path / "backup").mkdir()
    return Operator(tmp_path)


def test_a_restored_home_continues_and_gets_each_record_since_the_copy_once(operator):
    operator.publish_and_stream(1)
    operator.shell(commands("Copy it while nothing runs"))
    copied = operator.rows()
    published = operator.publish_and_stream(2)
    assert published > 0
    lost = operator.rows()
    assert lost[LAYERS[0]] == copied[LAYERS[0]] + published

    shutil.rmtree(operator.home.lake_root / "silver")
    operator.shell(commands("Restore"))
    assert operator.rows() == copied
    assert operator.publish_and_stream(2) == published
    assert operator.rows() == lost


def is_refused(operator: Operator, start: Sequence[str]) -> list[str]:
    """The oracle: bronze on an older broker ends with 3, and names the topic and how far it goes."""
    ran = operator.ask("run", "bronze", "--once", start=start)
    if ran.returncode == 3 and f"has lost records that bronze.{DATASET} has read: partition" in ran.stderr:
        return []
    return [f"run ended with {ran.returncode}: {ran.stderr[-2000:]}"]


def test_control_tables_newer_than_the_broker_are_refused_and_named(operator, control):
    operator.publish_and_stream(1, "bronze")
    operator.shell(commands("Copy it while nothing runs"))
    operator.publish_and_stream(2, "bronze")
    before = operator.offsets()
    shutil.rmtree(operator.home.home / "kafka")
    shutil.copytree(next(operator.folder.glob("backup/*")) / "kafka", operator.home.home / "kafka")
    with Stack(operator.home):
        doctor = operator.ask("doctor")
        assert doctor.returncode != 0
        assert f"has lost records that bronze.{DATASET} has read" in doctor.stdout + doctor.stderr
        control.holds(is_refused, operator, UNMODIFIED)
        assert operator.offsets() == before
        control.objects(is_refused, operator, ("-c", UNCHECKED), damage="run ended with")
