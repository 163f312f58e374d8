"""`ops.anomalies`: publications and values that differ from earlier ones in an unusual way. They may still be right."""

from monitoring.lake import Lake

VIEW = "ops.anomalies"

HALF = 0.5
"""A part published again with fewer rows than this share of its usual size was probably cut short."""
EARLIER_EDITIONS = 1
"""Number of earlier editions that are needed to know what is usual."""
PTAX_JUMP_PERCENT = 5.0
"""From one closing to the next. The real moves of recent crises were about this large; a shifted comma is far beyond
it."""
NEXT_CLOSING_DAYS = 7
"""Closings that are further apart than this, longer than any run of holidays, are not compared: days between them are
missing."""
PRESSURE_SHIFT_HPA = 10.0
"""Daily mean at a station against its median of 30 days. Tropical weather moves it by half of that; a replaced
barometer or a wrong altitude by more."""
PRESSURE_DAYS = 30
HOURS_OF_A_DAY = 18
"""Pressure readings that make a day's mean comparable."""

_COLUMNS = "kind, dataset, subject, seen_at, value, usual"

# Only complete editions of one file are comparable: the size of a poll of new days depends on the time since the last.
_VOLUME = f"""
    SELECT 'volume' AS kind, source AS dataset, part AS subject, seen_at, rows::DOUBLE AS value, usual::DOUBLE AS usual
    FROM (
        SELECT source, part, seen_at, rows,
               median(rows) OVER earlier AS usual, count(*) OVER earlier AS editions
        FROM (SELECT record.source AS source, record.part AS part, record.payload_sha256 AS payload,
                     record.edition AS edition, min(record.retrieved_at) AS seen_at,
                     sum(record.rows_published + record.rows_rejected) AS rows
              FROM bronze.ingest_manifests WHERE regexp_matches(record.part, '\\.[A-Za-z]+$') GROUP BY ALL)
        WINDOW earlier AS (PARTITION BY source, part ORDER BY seen_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
    WHERE editions >= {EARLIER_EDITIONS} AND rows < {HALF} * usual"""

# Of the newest edition of each part: withdrawals that a person must decide on, and those that are unknown.
_WITHDRAWALS = """
    SELECT CASE WHEN held > 0 THEN 'withdrawals_held' ELSE 'withdrawals_unknown' END, source, part, seen_at,
           held::DOUBLE, rows::DOUBLE
    FROM (SELECT source, part, max(retrieved_at) AS seen_at, sum(rows_published) AS rows,
                 coalesce(arg_max(withdrawals_held, "offset"), 0) AS held, bool_or(rows_withdrawn IS NULL) AS is_unknown
          FROM (SELECT unnest(record), "offset" FROM bronze.ingest_manifests WHERE decode_status = 'ok')
          WHERE part_key IS NOT NULL GROUP BY source, resource, part_key, edition, part
          QUALIFY edition = max(edition) OVER (PARTITION BY source, resource, part_key))
    WHERE held > 0 OR is_unknown"""

_PTAX = f"""
    SELECT 'ptax_jump', 'bcb_ptax', currency_code, quoted_at, selling_rate::DOUBLE, before::DOUBLE FROM (
        SELECT currency_code, quoted_at, selling_rate, lag(selling_rate) OVER days AS before,
               lag(quoted_at) OVER days AS before_at
        FROM silver.bcb_ptax WHERE bulletin_type LIKE 'Fechamento%' AND selling_rate IS NOT NULL
        WINDOW days AS (PARTITION BY currency_code ORDER BY quoted_at))
    WHERE quoted_at - before_at < INTERVAL {NEXT_CLOSING_DAYS} DAY
      AND abs(selling_rate / before - 1) * 100 > {PTAX_JUMP_PERCENT}"""

_PRESSURE = f"""
    SELECT 'pressure_shift', 'inmet_hourly', station_code, day, mean, usual FROM (
        SELECT station_code, day, mean, median(mean) OVER month AS usual, count(*) OVER month AS days
        FROM (SELECT station_code, date_trunc('day', observed_at) AS day, avg(pressure_hpa) AS mean
              FROM silver.inmet_hourly GROUP BY ALL HAVING count(pressure_hpa) >= {HOURS_OF_A_DAY})
        WINDOW month AS (PARTITION BY station_code ORDER BY day
                         RANGE BETWEEN INTERVAL {PRESSURE_DAYS} DAY PRECEDING AND INTERVAL 1 DAY PRECEDING))
    WHERE days >= {PRESSURE_DAYS // 2} AND abs(mean - usual) > {PRESSURE_SHIFT_HPA}"""

_KINDS = (
    ("bronze.ingest_manifests", _VOLUME),
    ("bronze.ingest_manifests", _WITHDRAWALS),
    ("silver.bcb_ptax", _PTAX),
    ("silver.inmet_hourly", _PRESSURE),
)

_EMPTY = (
    "SELECT NULL::VARCHAR AS kind, NULL::VARCHAR AS dataset, NULL::VARCHAR AS subject, NULL::TIMESTAMPTZ AS seen_at,"
    " NULL::DOUBLE AS value, NULL::DOUBLE AS usual WHERE false"
)


def register(lake: Lake) -> None:
    """Make the view: kind (docs/quality.md names them), dataset, subject, at, value, usual."""
    found = [query for table, query in _KINDS if lake.has(table)]
    union = " UNION ALL ".join([_EMPTY, *found])
    lake.connection.execute(f"CREATE OR REPLACE VIEW {VIEW} AS SELECT {_COLUMNS} FROM ({union})")
