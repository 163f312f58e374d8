"""What readers of the old system find in `correnteza query`, by the names that they know.

`legacy.<name>` holds the migrated rows of a table, frozen, under the file's own column names. Views without a schema
(`ClimaSalvador`, `IndicadoresEconomicos`, `Expansao5G`, and `unified_dataset_with_factors` once its rows were migrated)
have the legacy columns with values that were measured, for Salvador.
"""

from collections.abc import Iterable, Sequence

from foundation.quoting import quoted, text
from migration import rule_sets
from monitoring.lake import Lake
from producers.legacy.mapping import FILE, Mapping

FACTORS = "gold.external_factors_daily"
SALVADOR = "2927408"
UNIFIED = "unified_dataset_with_factors"

_NO_SOURCE = "NULL::DOUBLE"
"""No polled source publishes it (docs/legacy-factors.md)."""

_DAYS = f"SELECT * FROM {FACTORS} WHERE municipality_code = '{SALVADOR}' AND NOT is_forecast"

CLIMATE = f"""
    SELECT date_on AS data_referencia, temperature_mean_celsius AS temperatura_media,
           temperature_max_celsius AS temperatura_maxima, temperature_min_celsius AS temperatura_minima,
           rain_mm AS precipitacao_mm, relative_humidity_mean_percent AS umidade_percentual,
           wind_speed_mean_m_s * 3.6 AS velocidade_vento_kmh
    FROM ({_DAYS}) ORDER BY date_on"""

ECONOMY = f"""
    SELECT d.date_on AS data_referencia, d.ipca_monthly_percent::DOUBLE AS taxa_inflacao,
           d.ipca_12m_percent AS taxa_inflacao_anual, d.usd_brl::DOUBLE AS taxa_cambio_brl_usd,
           (d.gdp_index::DOUBLE / p.gdp_index - 1) * 100 AS pib_crescimento,
           d.selic_target_percent::DOUBLE AS taxa_selic, {_NO_SOURCE} AS indice_consumo
    FROM ({_DAYS}) d
    LEFT JOIN (SELECT gdp_reference_on, max_by(gdp_index, date_on)::DOUBLE AS gdp_index
               FROM ({_DAYS}) WHERE gdp_index IS NOT NULL GROUP BY 1) p
        ON p.gdp_reference_on = d.gdp_reference_on - INTERVAL 1 YEAR
    ORDER BY d.date_on"""

EXPANSION = f"""
    SELECT d.date_on AS data_referencia, d.share_5g_percent AS cobertura_5g_percentual,
           {_NO_SOURCE} AS investimento_5g_brl_billions, d.stations_5g AS torres_5g_ativas,
           m.municipalities AS municipios_5g, {_NO_SOURCE} AS velocidade_media_mbps
    FROM ({_DAYS}) d
    LEFT JOIN (SELECT reference_month_on, count_if(mobile_accesses_5g > 0) AS municipalities
               FROM gold.fact_5g_municipality GROUP BY 1) m ON m.reference_month_on = d.mobile_reference_on
    ORDER BY d.date_on"""

MEASURED = {
    "ClimaSalvador": (CLIMATE, (FACTORS,)),
    "IndicadoresEconomicos": (ECONOMY, (FACTORS,)),
    "Expansao5G": (EXPANSION, (FACTORS, "gold.fact_5g_municipality")),
}
"""View → its query, and the tables that it reads."""

OF_ITEMS = ("date", "item_id", "item_name", "quantity", "site_id", "category", "cost", "lead_time", "dataset_source")
"""Columns of the 31 that say what was ordered; nothing measures them again."""


def register(lake: Lake, migrated: Iterable[tuple[Mapping, Sequence[str]]]) -> None:
    """Make the views whose tables exist.

    Args: migrated: mapping of each dataset with visible rows, and the names of the files that they are of.
    """
    connection = lake.connection
    connection.execute("CREATE SCHEMA IF NOT EXISTS legacy")
    for mapping, files in migrated:
        if not lake.has(f"silver.{mapping.dataset}"):
            continue
        shown = ", ".join(map(text, files))
        columns = ", ".join(f"{quoted(each.field)} AS {quoted(each.name)}" for each in mapping.columns)
        connection.execute(
            f"CREATE OR REPLACE VIEW legacy.{quoted(mapping.name)} AS"
            f" SELECT {columns} FROM silver.{quoted(mapping.dataset)} WHERE {FILE} IN ({shown})"
        )
        if mapping.name == UNIFIED and lake.has(FACTORS, "gold.dim_date") and _has_items(mapping):
            connection.execute(f"CREATE OR REPLACE VIEW {UNIFIED} AS {unified()}")
    for name, (query, tables) in MEASURED.items():
        if lake.has(*tables):
            connection.execute(f"CREATE OR REPLACE VIEW {name} AS {query}")


def _has_items(mapping: Mapping) -> bool:
    return {*OF_ITEMS} <= {column.name for column in mapping.columns}


def unified() -> str:
    """The 31 columns: the migrated rows' own nine, and the factors of their days, measured, by the legacy's rules."""
    factors = ", ".join(f"f.{quoted(name)}" for name in rule_sets.UNIFIED_COLUMNS)
    items = ", ".join(f"l.{name}" for name in OF_ITEMS)
    return f"""
        SELECT {items}, {factors} FROM legacy.{UNIFIED} l
        LEFT JOIN ({rule_sets.unified_v1(rule_sets.days(SALVADOR))}) f ON f.date_on = l.date"""
