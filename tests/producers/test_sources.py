"""What every declared source must have, whichever it is."""

from datetime import date

import pytest

from foundation.errors import UsageError
from producers import sources
from producers.model import Span
from schemas.contracts import PROVENANCE, datasets, load

ALL = sources.load_all()


def test_every_dataset_has_exactly_one_source():
    found = sorted(name for source in ALL.values() for name in source.datasets)
    assert found == sorted(datasets())


@pytest.mark.parametrize("name", ALL)
def test_a_source_is_named_as_its_file_and_its_main_dataset(name):
    assert ALL[name].datasets[0] == name
    assert sources.load(name) is ALL[name]
    assert all(sources.of_dataset(dataset) is ALL[name] for dataset in ALL[name].datasets)


@pytest.mark.parametrize("name", ALL)
def test_a_source_says_when_each_dataset_normally_appears_and_how_it_is_fetched(name):
    source = ALL[name]
    assert source.publication.keys() == set(source.datasets)
    assert (source.kind == "zip") == (source.select is not None)
    assert (source.kind == "body") == (source.plan is not None)
    assert source.base_url.startswith("https://")


@pytest.mark.parametrize("name", ALL)
def test_resources_have_names_of_their_own_without_the_keys_separator(name):
    found = ALL[name].resources(date(2026, 1, 5), Span(ALL[name].history_start))
    names = [resource.name for resource in found]
    assert len(set(names)) == len(names) > 0
    assert not any("|" in each for each in names)


@pytest.mark.parametrize("dataset", datasets())
def test_provenance_closes_every_contract(dataset):
    assert load(dataset).fields[-5:] == PROVENANCE


def test_an_unknown_source_is_a_usage_error_that_lists_the_known():
    with pytest.raises(UsageError) as caught:
        sources.load("weather")
    assert "inmet_hourly" in str(caught.value.hint)
