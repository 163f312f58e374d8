"""The dashboard for Grafana, as JSON: import monitoring/dashboards/correnteza.json, or provision the folder."""

from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitoring.dashboards.model import Panel
from monitoring.dashboards.panels import ROWS

UID = "correnteza"
TITLE = "correnteza"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
HEIGHT = {"stat": 5, "timeseries": 8, "table": 8}


def text() -> str:
    """The dashboard's JSON, with a line's end."""
    made = (
        dashboard.Dashboard(TITLE)
        .uid(UID)
        .tags(["correnteza"])
        .description("Whether data flow, how old they are, and what is in the way. Written by `make dashboards`.")
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for row in ROWS:
        made.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            made.with_panel(_panel(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


def _panel(panel: Panel) -> Any:
    made: Any
    if panel.kind == "stat":
        made = stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    elif panel.kind == "table":
        made = table.Panel()
    else:
        made = timeseries.Panel().fill_opacity(10)
    made = (
        made.title(panel.title)
        .description(panel.says)
        .datasource(SOURCE)
        .unit(panel.unit)
        .span(panel.width)
        .height(HEIGHT[panel.kind])
    )
    if panel.bad_above is not None:
        steps = [Threshold(value=None, color="green"), Threshold(value=panel.bad_above, color="red")]
        made = made.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    for number, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(chr(ord("A") + number))
        made = made.with_target(target.instant().format(PromQueryFormat.TABLE) if panel.kind == "table" else target)
    return made
