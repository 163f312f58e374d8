"""`make demo` does what the README shows, number by number, and so do its queries and those of docs/reading.md."""

import re
import shlex
import time
from datetime import date, timedelta
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from correnteza.demo_summary import TRY_NEXT
from correnteza.settings import Settings
from tests.helpers import Command, environment, start_commands

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
PAGES = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/reading.md"))
BLOCKS = re.findall(r"^```\w*\n(.*?)^```", PAGES, re.DOTALL | re.MULTILINE)
MOST_RESIDENT_BYTES = 350 << 20
"""Of the Python process of `features`: 180 MiB are its libraries. All 24 origins in one table took 436 MiB."""
NOT_RUN = ("features", "plot", "sources")
"""What starts a JVM of its own, draws a picture, or prints how long ago something was."""


def shown() -> list[str]:
    """What the README prints of the demo's summary: published records, rows per layer, what `verify` found."""
    (block,) = (each for each in BLOCKS if each.startswith("records published"))
    return [line for line in block.splitlines() if line != "…" and not line.startswith("$")]


def asked() -> list[tuple[list[str], str]]:
    """Each command that the pages run on the demo's lake, and what it says of the answer."""
    found: list[tuple[list[str], str]] = []
    for block in BLOCKS:
        for said in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = said.splitlines()
            command = lines.pop(0)
            while command.count('"') % 2:
                command += "\n" + lines.pop(0)
            command, _, comment = command.partition("  # ")
            words = shlex.split(command)
            if words[0] == "correnteza" and words[1] not in NOT_RUN and words[1:3] != ["verify", "--full"]:
                found.append((words[1:], "\n".join(lines).strip() or comment))
    return found


def words(line: str) -> list[str]:
    return line.split()


def test_what_the_readme_shows_is_found_in_it():
    assert len(shown()) >= 20
    assert [command[0] for command, _ in asked()].count("query") == 3


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Where one demo of this module ran."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(home) -> str:
    """What it printed."""
    commands = start_commands(Settings(home=home), home)
    running = next(commands)("demo")
    assert running.wait() == 0, running.said
    yield running.said
    next(commands, None)


def ask(home: Path, *command: str) -> Command:
    """Start a command on the demo's lake."""
    settings = Settings(home=home / "demo")
    return Command(command, home, environment(settings, {}), home / f"{command[0]}.out")


def test_the_demo_gives_what_the_readme_shows(demo):
    printed = [words(line) for line in demo.splitlines()]
    for line in shown():
        assert words(line) in printed, line


def test_the_readmes_queries_give_what_it_shows(demo, home):
    for command, told in asked():
        answer = ask(home, *command)
        assert answer.wait() == 0, answer.said
        lines = [words(line) for line in answer.said.splitlines()]
        if rows := re.match(r"(\d+) rows", told):
            assert words(f"({rows[1]} rows)") in lines, command
        elif "…" not in told:
            assert [words(line) for line in told.splitlines()] == lines[: len(told.splitlines())], command


def test_every_command_that_the_demo_recommends_works_after_its_broker_has_stopped(demo, home):
    said = [line.partition("correnteza ")[2] for line in demo.splitlines() if "CORRENTEZA_HOME=" in line]
    assert len(said) == len(TRY_NEXT)
    for line in said:
        answer = ask(home, *shlex.split(line, comments=True))
        assert answer.wait() == 0, answer.said
        if line.startswith("status"):
            assert "cannot be known" in answer.said
            assert re.search(r"^gold\.external_factors_daily +up to date +0 ", answer.said, re.MULTILINE)


def test_the_demo_is_quiet(demo):
    """A step is a line; there are no warnings of Spark, log4j or the JVM."""
    end = demo.index("records published")
    assert all(re.fullmatch(r" *\d+\.\d s  [\w ]+, about \d+ s", line) for line in demo[:end].splitlines()), demo[:end]
    assert len(demo[end:].splitlines()) <= 40


def test_a_training_set_of_24_origins_holds_one_of_them_in_memory_at_a_time(demo, home, tmp_path):
    """Of 365 days each. The JVM has its bound by setting; this process has what it holds."""
    day, origins = date(2025, 11, 13), []
    for _ in range(24):
        origins.append(day.isoformat())
        day = day.replace(day=1) - timedelta(days=1)
    output = tmp_path / "train.parquet"
    running = ask(home, "features", *origins, "--days", "365", "--output", str(output))
    process, peak = psutil.Process(running.pid), 0
    while running.poll() is None:
        try:
            peak = max(peak, process.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(0.05)
    assert running.wait() == 0, running.said
    assert pq.read_metadata(output).num_rows > 200_000
    assert 0 < peak < MOST_RESIDENT_BYTES, f"{peak >> 20} MiB"
