"""Where a gold row comes from: silver versions, their places in bronze, the chunk, the payload and its URL.

gold row ─► silver versions that it is made from ─► topic, partition, offset in bronze ─► chunk ─► manifest
         ─► payload (sha256) ─► the archive's note: URL, when it was fetched
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.errors import UsageError
from monitoring.lake import Lake
from monitoring.proof.checks.gold_definition import newest, reference_tables
from monitoring.proof.checks.gold_sql import DEFINITIONS
from monitoring.reading.as_of import require_key
from schemas.contracts import load
from storage import files
from storage.location import Location

MOST_VERSIONS = 200
"""How many versions are shown per dataset; their number is always shown."""

_DAY = "timezone(time_zone, {at})::DATE = $date_on::DATE"
_STATION_ZONE = (
    "coalesce((SELECT time_zone FROM own_zones o WHERE o.station_code = x.station_code),"
    " (SELECT arg_max(c.time_zone, s.valid_from_on) FROM silver.inmet_stations s JOIN capitals c USING (uf)"
    " WHERE s.station_code = x.station_code),"
    " (SELECT time_zone FROM capitals c WHERE c.station_code = x.station_code))"
)
_HOURS = f"timezone({_STATION_ZONE}, observed_at)::DATE = $date_on::DATE"
_POINT = (
    "timezone(coalesce((SELECT time_zone FROM own_zones o WHERE o.municipality_code = point_id[:7]),"
    " (SELECT time_zone FROM capitals c WHERE c.municipality_code[:2] = point_id[:2])), valid_at)::DATE"
)
_THIRTY_DAYS = "$date_on::DATE - 29 AND $date_on::DATE"
_MONTH = "reference_month_on = $reference_month_on::DATE"
_PLACE = "coalesce(municipality_code, '') = $municipality_code"
_SELIC = (
    "resource = 'ExpectativasMercadoSelic' AND indicator = 'Selic' AND base_calculation = 0 AND median IS NOT NULL"
    " AND surveyed_on BETWEEN $date_on::DATE - 30 AND $date_on::DATE"
)
_ESTIMATES = (
    "table_id = 6579 AND variable_code = '9324' AND territory_level = '6' AND length(period_code) = 4"
    " AND value IS NOT NULL"
)
_CARRIED = (433, 188, 189, 24364, 24369, 22099)

# Gold table → dataset → predicate over its newest versions `x`, with the gold key as parameters.
INPUTS: Mapping[str, Mapping[str, str]] = {
    "dim_weather_station": {"inmet_stations": "station_code = $station_code"},
    "dim_operator": {
        "anatel_mobile_accesses": "cnpj = $cnpj AND reference_month_on >= $valid_from_on::DATE",
        "anatel_broadband_accesses": "cnpj = $cnpj AND reference_month_on >= $valid_from_on::DATE",
    },
    "dim_municipality_population": {
        "ibge_sidra": (
            f"{_ESTIMATES} AND territory_code = $municipality_code"
            " AND period_code >= year($valid_from_on::DATE)::VARCHAR"
        )
    },
    "fact_weather_daily": {
        "inmet_hourly": f"station_code = $station_code AND {_HOURS}",
        "inmet_stations": "station_code = $station_code",
    },
    "fact_reanalysis_daily": {
        "openmeteo_archive": f"point_id = $municipality_code AND model = $model AND {_POINT} = $date_on::DATE"
    },
    "fact_economic_observation": {
        "bcb_sgs": "series_code = $series_code::BIGINT AND reference_on = $reference_on::DATE"
    },
    "fact_fx_daily": {
        "bcb_ptax": (
            "currency_code = $currency_code AND timezone('America/Sao_Paulo', quoted_at)::DATE = $date_on::DATE"
        )
    },
    "fact_broadband_accesses_monthly": {
        "anatel_broadband_accesses": f"{_MONTH} AND {_PLACE} AND coalesce(technology, '') = $technology"
    },
    "fact_mobile_accesses_monthly": {
        "anatel_mobile_accesses": f"{_MONTH} AND {_PLACE} AND coalesce(generation, '') = $generation"
    },
    "fact_base_stations": {"anatel_base_stations": "license_row_id = $license_row_id"},
    "fact_5g_municipality": {
        "anatel_mobile_accesses": (
            f"{_PLACE} AND reference_month_on BETWEEN ($reference_month_on::DATE - INTERVAL 1 MONTH)::DATE"
            " AND $reference_month_on::DATE"
        ),
        "anatel_base_stations": (
            "technology = 'NR' AND municipality_code = $municipality_code AND coalesce(first_licensed_on, licensed_on,"
            " first_known_from::DATE) <= last_day($reference_month_on::DATE)"
        ),
    },
    "external_factors_daily": {
        "inmet_hourly": (
            "station_code = (SELECT station_code FROM places WHERE municipality_code = $municipality_code)"
            f" AND timezone({_STATION_ZONE}, observed_at)::DATE BETWEEN {_THIRTY_DAYS}"
        ),
        "openmeteo_archive": (
            "point_id = (SELECT point_id FROM places WHERE municipality_code = $municipality_code)"
            f" AND model = 'best_match' AND {_POINT} BETWEEN {_THIRTY_DAYS}"
        ),
        # The exchange rate's windows, and of each carried series the year that ends in the period of the row.
        "bcb_sgs": (
            "value IS NOT NULL AND ((series_code = 1 AND reference_on BETWEEN $date_on::DATE - 40 AND $date_on::DATE)"
            " OR (series_code = 432 AND reference_on BETWEEN $date_on::DATE - 10 AND $date_on::DATE)"
            + "".join(
                f" OR (series_code = {code} AND first_known_from::DATE <= $date_on::DATE AND reference_on >="
                f" (SELECT max(reference_on) - INTERVAL 11 MONTH FROM ({newest('bcb_sgs')}) r"
                f" WHERE r.series_code = {code} AND r.value IS NOT NULL"
                " AND r.first_known_from::DATE <= $date_on::DATE))"
                for code in _CARRIED
            )
            + ")"
        ),
        "anatel_mobile_accesses": (
            "municipality_code = $municipality_code AND first_known_from::DATE <= $date_on::DATE AND"
            " reference_month_on >= (SELECT max(reference_month_on) - INTERVAL 1 MONTH"
            f" FROM ({newest('anatel_mobile_accesses')}) r WHERE r.municipality_code = $municipality_code"
            " AND r.first_known_from::DATE <= $date_on::DATE)"
            " AND reference_month_on >= ($date_on::DATE - INTERVAL 7 MONTH)"
        ),
        "anatel_broadband_accesses": (
            "municipality_code = $municipality_code AND first_known_from::DATE <= $date_on::DATE AND"
            " list_contains([0, 12], datediff('month', reference_month_on, (SELECT max(reference_month_on)"
            f" FROM ({newest('anatel_broadband_accesses')}) r WHERE r.municipality_code = $municipality_code"
            " AND r.first_known_from::DATE <= $date_on::DATE AND"
            " r.reference_month_on >= ($date_on::DATE - INTERVAL 6 MONTH))))"
        ),
        "anatel_base_stations": (
            "technology = 'NR' AND municipality_code = $municipality_code AND greatest(first_known_from::DATE,"
            " coalesce(first_licensed_on, licensed_on, first_known_from::DATE)) <= $date_on::DATE"
        ),
        # Of the next meeting and of its year's last, the newest survey known by the day.
        "bcb_focus": (
            f"{_SELIC} AND first_known_from::DATE <= $date_on::DATE AND reference_period IN (SELECT unnest([meeting_id,"
            " year_end_id]) FROM copom WHERE previous_on <= $date_on::DATE AND $date_on::DATE < decided_on)"
            f" AND surveyed_on = (SELECT max(surveyed_on) FROM silver.bcb_focus_revisions r WHERE {_SELIC}"
            " AND r.reference_period = x.reference_period AND r.known_from::DATE <= $date_on::DATE)"
        ),
        "ibge_sidra": (
            f"{_ESTIMATES} AND territory_code = $municipality_code AND period_code = (SELECT max(period_code)"
            f" FROM silver.ibge_sidra_revisions WHERE {_ESTIMATES} AND territory_code = $municipality_code"
            " AND known_from::DATE <= $date_on::DATE)"
        ),
    },
}


@dataclass(frozen=True)
class Origin:
    """A payload that versions come from.

    Attributes:
        chunk_id, part: of the chunk's manifest; None when bronze does not hold it.
        url: of the request, from the archive's note; None when the archive does not hold the payload.
    """

    chunk_id: str
    part: str | None
    payload_sha256: str | None
    url: str | None
    retrieved_at: Any


@dataclass(frozen=True)
class Step:
    """The versions of one dataset that a gold row is made from.

    Attributes:
        versions: how many there are; `shown` holds the first of them: key, values, known_from and place in Kafka.
        origins: of all versions.
    """

    dataset: str
    versions: int
    shown: list[dict[str, Any]]
    origins: list[Origin]


def explain(
    lake: Lake, archive: Location, table: str, key: Mapping[str, str], *, reference: Path
) -> tuple[dict[str, Any], list[Step]]:
    """The gold row of a key, and each dataset's versions that it is made from.

    Args:
        key: every key column and its value as text.
        reference: folder of the reference files.

    Raises:
        UsageError: there is no such table or row, or the key is not the table's.
    """
    keys = {each.table: each.keys for each in DEFINITIONS}
    if table not in INPUTS:
        raise UsageError(f"{table} cannot be explained", hint=f"one of: {', '.join(sorted(INPUTS))}")
    require_key(key, keys[table], of=table)
    if not lake.has(f"gold.{table}"):
        raise UsageError(f"gold.{table} does not exist yet", hint="correnteza status")
    lake.connection.execute(reference_tables(str(reference)))
    predicate = " AND ".join(f'"{column}"::VARCHAR = ${column}' for column in keys[table])
    found = lake.rows(f"FROM gold.{table} WHERE {predicate}", dict(key))
    if not found:
        raise UsageError(
            f"gold.{table} has no such row",
            hint=f'correnteza query "select {", ".join(key)} from gold.{table} limit 5"',
        )
    return found[0], [
        _step(lake, archive, dataset, inputs, key)
        for dataset, inputs in INPUTS[table].items()
        if lake.has(f"silver.{dataset}_revisions")
    ]


def _step(lake: Lake, archive: Location, dataset: str, predicate: str, key: Mapping[str, str]) -> Step:
    contract = load(dataset)
    used = {name: value for name, value in key.items() if f"${name}" in predicate}
    versions = lake.rows(f"SELECT * FROM ({newest(dataset)}) x WHERE {predicate} ORDER BY ALL", dict(used))
    names = (*contract.key, *contract.value_fields, "known_from", "published_at_basis")
    shown = [
        {name: row[name] for name in names if row[name] is not None}
        | {"place": f"{contract.topic}/{row['kafka_partition']}/{row['kafka_offset']}", "chunk_id": row["chunk_id"]}
        for row in versions[:MOST_VERSIONS]
    ]
    chunks = sorted({str(row["chunk_id"]) for row in versions if row["chunk_id"] is not None})
    return Step(dataset, len(versions), shown, [_origin(lake, archive, chunk) for chunk in chunks])


def _origin(lake: Lake, archive: Location, chunk_id: str) -> Origin:
    manifests = (
        lake.rows(
            "SELECT record.part AS part, record.payload_sha256 AS sha, record.retrieved_at AS at"
            " FROM bronze.ingest_manifests WHERE record.chunk_id = ? LIMIT 1",
            [chunk_id],
        )
        if lake.has("bronze.ingest_manifests")
        else []
    )
    if not manifests:
        return Origin(chunk_id, None, None, None, None)
    (manifest,) = manifests
    sha = str(manifest["sha"])
    note = archive / "sha256" / sha[:2] / f"{sha}.json"
    about = json.loads(files.read(note)) if files.exists(note) else {}
    return Origin(chunk_id, str(manifest["part"]), sha, about.get("url"), manifest["at"])
