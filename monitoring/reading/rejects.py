"""Which parts had rows that their parser rejected, by the manifests of their newest editions."""

from datetime import UTC, datetime

from monitoring.lake import Lake


def with_rejects(lake: Lake, source: str, since: datetime | None) -> list[tuple[str, str]]:
    """(resource, part key) of a source's parts whose newest edition rejected a row.

    Args:
        since: leave out what was fetched before this day (UTC).
    """
    if not lake.has("bronze.ingest_manifests"):
        return []
    rows = lake.rows(
        """
        SELECT resource, part_key FROM (SELECT unnest(record) FROM bronze.ingest_manifests WHERE decode_status = 'ok')
        WHERE source = ? AND part_key IS NOT NULL AND retrieved_at >= ?
        GROUP BY resource, part_key, edition
        QUALIFY edition = max(edition) OVER (PARTITION BY resource, part_key) AND sum(rows_rejected) > 0
        ORDER BY ALL""",
        [source, since.replace(tzinfo=UTC) if since else datetime(1970, 1, 1, tzinfo=UTC)],
    )
    return [(str(row["resource"]), str(row["part_key"])) for row in rows]
