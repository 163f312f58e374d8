"""What contracts, names and the worker's configuration may not say: S13, S16 and S26 of docs/security.md."""

import copy
import re
from types import SimpleNamespace

import faust
import pytest

from producers.schedule import worker
from schemas.contracts import load_all

NAME = re.compile(r"[a-z_][a-z0-9_]*")


def hostile(schemas):
    """The oracle: what of some schemas lets a few bytes become a great deal, or whose names are no plain ones.

    An array of `null` of 30 million items is 5 bytes long; a recursive record of 20 kB ends a decoder's process.
    """
    found = []

    def look(name, node, above):
        if isinstance(node, list):
            for each in node:
                look(name, each, above)
        elif isinstance(node, str):
            if node in above:
                found.append(f"{name} is recursive in {node}")
        elif node["type"] in ("array", "map"):
            inner = node.get("items", node.get("values"))
            if inner == "null" or (isinstance(inner, dict) and not inner.get("fields", True)):
                found.append(f"{name} has items without a byte")
            look(name, inner, above)
        elif node["type"] == "record":
            for field in node["fields"]:
                if not NAME.fullmatch(field["name"]):
                    found.append(f"{name} has a column {field['name']!r}")
                look(name, field["type"], above | {node["name"]})
        else:
            look(name, node["type"], above)

    for name, schema in schemas.items():
        look(name, schema, frozenset())
    return found


def plain(schema):
    """A schema as it is declared: fastavro writes full names where a record is named again."""
    return {"type": "record", "name": schema["name"].rpartition(".")[2], "fields": schema["fields"]}


@pytest.mark.parametrize(
    ("kind", "name", "damage"),
    [
        ({"type": "array", "items": "null"}, "x", "bcb_sgs has items without a byte"),
        (["null", "own"], "x", "bcb_sgs is recursive in own"),
        ("string", "x`; DROP TABLE", "bcb_sgs has a column 'x`; DROP TABLE'"),
    ],
)
def test_control_no_contract_lets_a_few_bytes_become_many_or_has_a_name_that_is_sql(kind, name, damage, control):
    schemas = {each: plain(contract.schema) for each, contract in load_all().items()}
    control.holds(hostile, schemas)
    damaged = copy.deepcopy(schemas)
    damaged["bcb_sgs"]["name"] = "own"
    damaged["bcb_sgs"]["fields"].append({"name": name, "type": kind})
    control.objects(hostile, damaged, damage=damage)


SHUT = ("web_router_enabled", "web_tables_enabled", "web_stats_enabled", "web_graph_enabled", "web_metrics_enabled")


def open_faust(conf):
    """The oracle: what Faust serves to others, or would decode from them."""
    found = [f"Faust serves {name}" for name in SHUT if getattr(conf, name, False)]
    found += [f"Faust listens at {conf.web_bind}"] if conf.web_bind != "127.0.0.1" else []
    return found + [f"Faust reads {each}" for each in (conf.key_serializer, conf.value_serializer) if each == "pickle"]


def test_control_the_worker_s_web_server_is_loopback_s_alone_and_serves_one_page(tmp_path, control):
    scheduler = SimpleNamespace(prefix="", bootstrap="localhost:9")
    control.holds(open_faust, worker._app(scheduler, 9, tmp_path).conf)
    usual = faust.App("usual", broker="kafka://localhost:9", web_bind="0.0.0.0").conf
    control.objects(open_faust, usual, damage=("Faust listens at 0.0.0.0", "Faust serves web_router_enabled"))
