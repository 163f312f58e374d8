"""A backfill beside the live schedule, in processes of their own: interleaved, killed, and run twice at once.

Every value is to be in Kafka once. The control takes the rule away by which days have one owner.
"""

import json
import re
import signal
from collections import Counter
from datetime import date, datetime

import pytest
from werkzeug import Request, Response

from correnteza import topics
from producers import poll, sources
from schemas.contracts import load_all
from tests import oracles
from tests.helpers import wait_at_gate

pytestmark = [pytest.mark.integration, pytest.mark.fault]
FAULT = 2
"""Of the tests whose names tell none."""

SGS = sources.load("bcb_sgs")
LIVE = ("poll", "bcb_sgs", "--json")
BACKFILL = ("poll", "bcb_sgs", "--since", "2003-01-01", "--json")
LIVE_FROM = "2015-01-01"
THIS_YEAR = date.today().year
MONTHS = 12 * (THIS_YEAR - 2003)


@pytest.fixture
def target(settings) -> poll.Services:
    """This test's own topics, on the shared broker."""
    topics.apply(settings.bootstrap, load_all().values(), settings.topic_prefix)
    return poll.Services(settings.bootstrap, settings.registry, settings.topic_prefix, settings.archive_root)


@pytest.fixture
def variables(httpserver) -> dict[str, str]:
    """The environment of a poll of series 433, with a value a month from 2003 to last December."""

    def answer(request: Request) -> Response:
        first, last = (datetime.strptime(request.args[name], "%d/%m/%Y") for name in ("dataInicial", "dataFinal"))
        days = [datetime(year, month, 1) for year in range(2003, THIS_YEAR) for month in range(1, 13)]
        code = request.path.split(".")[-1].partition("/")[0]
        found = [{"data": f"{day:%d/%m/%Y}", "valor": f"{day:%Y.%m}"} for day in days if first <= day <= last]
        return Response(json.dumps(found if code == "433" else []))

    httpserver.expect_request(re.compile("/bcdata.*")).respond_with_handler(answer)
    return {
        "CORRENTEZA_BASE_URLS": json.dumps({"bcb_sgs": httpserver.url_for("/")}),
        "CORRENTEZA_HISTORY_START": json.dumps({"bcb_sgs": LIVE_FROM}),
        "CORRENTEZA_CHUNK_ROWS": "25",
    }


def published(target) -> Counter[bytes]:
    """How often each value's key stands in the topic."""
    return Counter(record.key for record in oracles.read(target.bootstrap, target.prefix, "bcb_sgs"))


def assert_every_value_once(target) -> None:
    """No hole, no double, every chunk whole and with one receipt."""
    assert wrong_values(target) == []


@pytest.mark.parametrize("order", [(BACKFILL, LIVE), (LIVE, BACKFILL)], ids=["live", "backfill"])
def test_a_poll_of_the_one_in_the_middle_of_the_other_doubles_nothing(
    cli, cli_process, target, variables, *, tmp_path, order
):
    gate, (first, second) = tmp_path / "gate", order
    held = cli_process(*first, CORRENTEZA_FAILPOINT=f"after_fetch@1:wait={gate}", **variables)
    wait_at_gate(gate, held, "the first to have read its cursors and a window")
    done = cli(*second, **variables)
    assert done.returncode == 0, done.stderr
    assert len(published(target)) > 0
    gate.touch()
    assert held.wait() == 0, held.said
    assert_every_value_once(target)


def test_both_at_once_double_nothing(cli_process, target, variables):
    together = [cli_process(*command, **variables) for command in (BACKFILL, LIVE)]
    for each in together:
        assert each.wait() == 0, each.said
    assert_every_value_once(target)


def wrong_values(target) -> list[str]:
    """The oracle: every value once, every chunk whole and with one receipt."""
    counts = published(target)
    found = [f"value {key.decode()} stands {count} times" for key, count in counts.items() if count > 1]
    found += [f"{len(counts)} values of {MONTHS} are there"] if len(counts) != MONTHS else []
    return found + oracles.problems(target.bootstrap, target.prefix, SGS.datasets)


def test_control_two_that_own_the_same_days_publish_them_twice(cli, cli_process, target, variables, tmp_path, control):
    """The live schedule gets another start of its history than the backfill, which still runs."""
    gate = tmp_path / "gate"
    held = cli_process(*BACKFILL, CORRENTEZA_FAILPOINT=f"after_fetch@1:wait={gate}", **variables)
    wait_at_gate(gate, held, "the backfill to have read its cursors and a window")
    moved = {"CORRENTEZA_HISTORY_START": json.dumps({"bcb_sgs": "2003-01-01"})}
    assert cli(*LIVE, **(variables | moved)).returncode == 0
    control.holds(wrong_values, target)  # all of it by the one that was told to begin so early
    gate.touch()
    assert held.wait() == 0, held.said
    control.objects(wrong_values, target, damage="stands 2 times")


@pytest.mark.parametrize("point", ["after_fetch@2", "after_commit_txn@3", "after_produce@21"])
def test_a_backfill_killed_half_way_goes_on_where_it_was(cli, target, variables, point):
    """After a window was fetched; between two chunks; in the middle of a transaction."""
    killed = cli(*BACKFILL, CORRENTEZA_FAILPOINT=f"{point}:kill", **variables)
    assert killed.returncode == -signal.SIGKILL
    resumed = cli(*BACKFILL, **variables)
    assert resumed.returncode == 0, resumed.stderr
    assert 0 < json.loads(resumed.stdout)["rows"] < 144, "neither nothing nor everything again"
    assert cli(*LIVE, **variables).returncode == 0
    assert_every_value_once(target)


def test_of_two_backfills_at_once_the_older_is_fenced_and_nothing_is_doubled(
    cli, cli_process, target, variables, tmp_path
):
    gate = tmp_path / "gate"
    older = cli_process(*BACKFILL, CORRENTEZA_FAILPOINT=f"after_fetch@1:wait={gate}", **variables)
    wait_at_gate(gate, older, "the older one to be under way")
    assert cli(*BACKFILL, **variables).returncode == 0
    gate.touch()
    assert older.wait() == 75, older.said
    assert cli(*LIVE, **variables).returncode == 0
    assert_every_value_once(target)
