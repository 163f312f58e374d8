"""Plots: each line shows the values known at its instant."""

import re
from datetime import date
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from correnteza import plotting
from correnteza.cli import app
from foundation.errors import UsageError
from monitoring.lake import Lake
from monitoring.reading.as_of import instant
from monitoring.reading.series import picture
from tests.monitoring.kit import Kit, at, small_lake, value


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    root = tmp_path_factory.mktemp("plot")
    kit = small_lake(root)
    kit.publish("bcb_sgs", value(433, date(2024, 1, 1), "0.7", at("2025-01-01T00:00:00")))
    kit.write()
    return root


def drawn(home, name, *vintages, first_on=None, last_on=None):
    found = picture(Lake(home / "lake"), name, [instant(each) for each in vintages], first_on=first_on, last_on=last_on)
    return plotting.draw(found)


def lines(figure):
    return {line.get_label(): list(line.get_ydata()) for line in figure.axes[0].lines}


def test_each_vintage_is_a_line_of_what_it_knew(home):
    found = lines(drawn(home, "sgs:433", "2024-02-10", "2024-12-31", "2025-01-01", first_on=date(2023, 12, 1)))
    assert found == {
        "as known on 2024-02-10 23:59": [0.5],
        "as known on 2024-12-31 23:59": [0.5, 0.5],
        "as known on 2025-01-01 23:59": [0.5, 0.7],
    }


def test_title_unit_and_source_are_named(home):
    figure = drawn(home, "factor:2927408:temperature_max_celsius")
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "Temperature max, 2927408"
    assert axes.get_ylabel() == "°C"
    assert "source: gold.external_factors_daily, newest value known from" in figure.get_supxlabel()
    assert len(drawn(home, "inmet:A401:rain_mm").axes[0].lines[0].get_ydata()) == 48


@pytest.mark.parametrize(
    ("name", "vintages", "reason"),
    [
        ("sgs:9999", (), "no values"),
        ("inmet:A401:mood", (), "no numeric column"),
        ("factor:2927408:uf", (), "not a numeric factor"),
        ("factor:2927408:rain_mm", ("2025-01-01",), "what is known now"),
        ("weather", (), "nothing that can be drawn"),
        ("sgs:1 OR true", (), "nothing that can be drawn"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_reason(home, name, vintages, reason):
    with pytest.raises(UsageError, match=reason):
        drawn(home, name, *vintages)


def test_too_many_points_are_refused(home, monkeypatch):
    monkeypatch.setattr("monitoring.reading.series.MOST_POINTS", 40)
    with pytest.raises(UsageError, match="too many"):
        drawn(home, "inmet:A401:rain_mm")


def test_the_command_writes_png_and_svg_and_never_over_a_file_unasked(home, tmp_path, monkeypatch):
    monkeypatch.setenv("CORRENTEZA_HOME", str(home))
    run = CliRunner()
    for suffix, beginning in ((".png", b"\x89PNG"), (".svg", b"<?xml")):
        file = tmp_path / f"ipca{suffix}"
        arguments = ["plot", "sgs:433", "--as-of", "2024-12-31", "--as-of", "2025-01-01", "--output", str(file)]
        assert run.invoke(app, arguments).exit_code == 0
        first = file.read_bytes()
        assert first.startswith(beginning)
        assert isinstance(run.invoke(app, arguments).exception, UsageError)
        assert run.invoke(app, [*arguments, "--force"]).exit_code == 0
        assert file.read_bytes() == first, "the same picture has the same bytes"
    text = (tmp_path / "ipca.svg").read_text()
    assert len(re.findall("as known on", text)) == 2
    assert isinstance(run.invoke(app, ["plot", "sgs:433", "--output", "a.gif"]).exception, UsageError)


def test_a_lake_without_the_table_is_refused(tmp_path):
    kit = Kit(tmp_path)
    kit.publish("bcb_sgs", {"series_code": 1, "reference_on": date(2024, 1, 1), "value": Decimal(5)})
    kit.write()
    with pytest.raises(UsageError, match="does not exist yet"):
        picture(Lake(tmp_path / "lake"), "inmet:A401:rain_mm", [], first_on=None, last_on=None)
