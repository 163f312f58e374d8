"""`ops.quality_scores`: per dataset, the share of recently arrived rows that broke no expectation."""

from monitoring.lake import Lake

VIEW = "ops.quality_scores"
DAYS = 30
"""The batches of so many days before the newest batch count."""
BAR_PERCENT = 95.0
"""The required quality: a score must be above it."""

_EMPTY = "SELECT NULL::VARCHAR AS dataset, 0::BIGINT AS rows, 0::BIGINT AS flawed WHERE false"


def register(lake: Lake) -> None:
    """Make the view: dataset, rows, flawed, score_percent = 100·(1 − flawed/rows), meets_bar."""
    counts = (
        f"""
        SELECT dataset, sum(rows)::BIGINT AS rows, sum(broken)::BIGINT AS flawed FROM ops.expectations
        WHERE expectation = '*'
          AND evaluated_at > (SELECT max(evaluated_at) FROM ops.expectations) - INTERVAL {DAYS} DAY
        GROUP BY dataset"""
        if lake.has("ops.expectations")
        else _EMPTY
    )
    lake.connection.execute(
        f"CREATE OR REPLACE VIEW {VIEW} AS SELECT *, 100.0 * (1 - flawed / rows) AS score_percent,"
        f" score_percent > {BAR_PERCENT} AS meets_bar FROM ({counts}) ORDER BY dataset"
    )
