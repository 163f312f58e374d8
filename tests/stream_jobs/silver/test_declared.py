"""The rules that a contract of a topic of others declares."""

import json

import pytest

from foundation.errors import UsageError
from schemas import contracts
from stream_jobs.silver.tables import model
from tests.foreign import contract


@pytest.fixture
def declare(tmp_path):
    """Put a contract with one rule among an installation's own."""

    def put(sql: str) -> None:
        rule = {"name": "one", "sql": sql, "action": "warn"}
        (tmp_path / "shop_orders.avsc").write_text(json.dumps(contract("shop.orders", expectations=[rule])))
        contracts.use_also(tmp_path)
        contracts.forget()

    yield put
    contracts.use_also(tmp_path / "none")


def test_rules_of_a_contract_are_those_of_its_table(declare):
    declare("total >= 0 AND billed.city IS NOT NULL")
    table = model.discover()["shop_orders"]
    assert [(each.name, each.action) for each in table.expectations] == [("one", "warn")]
    assert (table.prune_by, table.reads[0]) == ("orderId", "bronze.shop_orders")


def test_sql_that_is_no_predicate_over_the_fields_is_refused(declare):
    declare("no_such_field > 0")
    with pytest.raises(UsageError, match=r"shop_orders: expectation one: .*no_such_field"):
        model.discover()
