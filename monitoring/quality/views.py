"""All views of data quality, in a lake's connection."""

from monitoring.lake import Lake
from monitoring.quality import anomalies, lags, reconciliation, scores


def register(lake: Lake) -> None:
    """Make `ops.quality_scores`, `ops.anomalies`, `ops.reconciliation` and `ops.publication_lags`."""
    for module in (scores, anomalies, reconciliation, lags):
        module.register(lake)
