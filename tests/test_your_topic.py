"""docs/your-topic.md, followed literally: a topic that a plain producer filled, its commands and its contract."""

import json
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from correnteza.embedded import jars
from correnteza.settings import Settings
from tests import foreign
from tests.helpers import environment

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "your-topic.md"
TOPIC = "shop.orders"

pytestmark = [pytest.mark.integration, pytest.mark.timeout(3600)]


def steps_of_the_page() -> list[tuple[str, str]]:
    """In the page's order: a path and the file's content, or an empty path and a command."""
    text = PAGE.read_text()
    blocks = re.finditer(r"^(?:`([\w/.]+)`\n```\w+|```sh)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    steps = []
    for block in blocks:
        steps += [(block[1], block[2])] if block[1] else [("", line) for line in block[2].splitlines()]
    return steps


def contract_of_the_page() -> dict[str, Any]:
    (content,) = [text for path, text in steps_of_the_page() if path]
    return dict(json.loads(content))


@pytest.fixture
def here(services, prefix, tmp_path):
    """Settings as the page has them: the home is `var` of the folder that the commands run in."""
    folder = tmp_path / "page"
    folder.mkdir()
    yield Settings(
        home=folder / "var", kafka_bootstrap=services.bootstrap, registry_url=services.registry_url, topic_prefix=prefix
    )
    admin = AdminClient({"bootstrap.servers": services.bootstrap, "log_level": 0})
    for deletion in admin.delete_topics([TOPIC]).values():
        deletion.result()


def fill(settings: Settings) -> None:
    """Orders as the shop writes them: in transactions, one rolled back; an order deleted; bytes that a tool sent."""
    declared = contract_of_the_page()
    schema = {name: declared[name] for name in ("type", "name", "namespace", "fields")}
    foreign.create(settings, TOPIC, partitions=2)
    schema_id = foreign.register(settings, "shop.Order", schema)
    producer = Producer({"bootstrap.servers": settings.bootstrap, "transactional.id": "shop", "log_level": 0})
    producer.init_transactions(60)

    def write(*orders: tuple[str, str | None, str], commit: bool = True) -> None:
        producer.begin_transaction()
        for number, status, total in orders:
            record = {"order_id": number, "status": status, "customer": {"city": None}, "total": Decimal(total)}
            record["changed_at"] = 1_700_000_000_000
            value = foreign.framed(schema, schema_id, record) if status else None
            producer.produce(TOPIC, value, number.encode())
        producer.flush(60)
        producer.commit_transaction(60) if commit else producer.abort_transaction(60)

    write(("o1", "NEW", "10.00"), ("o2", "NEW", "20.50"), ("o3", "NEW", "1.00"), ("o4", "NEW", "-5.00"))
    write(("o2", "SENT", "99.00"), commit=False)
    write(("o1", "PAID", "10.00"), ("o3", None, "0"))
    foreign.send(settings, TOPIC, (b"tool", b"hello", 1_700_000_000_000))


def test_the_page_shows_a_contract_and_ends_with_verify():
    steps = steps_of_the_page()
    assert [path for path, _ in steps if path] == ["var/contracts/shop_orders.avsc"]
    assert steps[-1] == ("", "correnteza verify")


def test_the_commands_of_the_page_bring_a_topic_of_others_to_silver_and_verify_holds(here):
    fill(here)
    folder = here.home.parent
    variables = environment(here, {"CORRENTEZA_JARS": str(jars.folder(here)), "PYTHONPATH": str(ROOT)})
    answers = {}
    for path, text in steps_of_the_page():
        if path:
            proposed = json.loads((folder / path).read_text())
            named = ("type", "name", "namespace", "fields", "topic", "key", "key_format", "known_from", "prune_by")
            assert {name: proposed[name] for name in named} == {name: json.loads(text)[name] for name in named}
            (folder / path).write_text(text, encoding="utf-8")
            continue
        line = re.sub(r"^correnteza ", f"{sys.executable} -m correnteza ", text)
        done = subprocess.run(line, shell=True, cwd=folder, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        answers[text.split()[1]] = done.stdout

    assert re.findall(r"(NEW|PAID|SENT)\D+(\d+)\D+([\d.]+)", answers["query"]) == [
        ("NEW", "1", "20.50"),
        ("PAID", "1", "10.00"),
    ]
    assert "not_framed" in answers["dead-letters"]
    assert "total_is_not_negative" in answers["dead-letters"]
    assert "shop_orders" in answers["status"]
