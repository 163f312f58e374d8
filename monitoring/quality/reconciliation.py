"""`ops.reconciliation`: the same quantity from two sources, period by period."""

from monitoring.lake import Lake

VIEW = "ops.reconciliation"

# ANATEL's totals against the sum of its own rows.
_BROADBAND = """
    SELECT 'broadband accesses against ANATEL''s total' AS name, reference_month_on AS period,
           ours::DOUBLE AS ours, accesses::DOUBLE AS theirs, ours = accesses AS agrees
    FROM silver.anatel_broadband_totals
    JOIN (SELECT reference_month_on, sum(accesses) AS ours FROM silver.anatel_broadband_accesses GROUP BY 1)
        USING (reference_month_on)"""

# IPCA in the month: SGS 433 against SIDRA's table 1737, variable 63, Brazil. Both have two decimals.
_IPCA = """
    SELECT 'IPCA: SGS 433 against SIDRA 1737', s.reference_on, s.value::DOUBLE, i.value::DOUBLE,
           round(s.value, 2) = round(i.value, 2)
    FROM silver.bcb_sgs s JOIN silver.ibge_sidra i
         ON i.period_code = strftime(s.reference_on, '%Y%m') AND i.table_id = 1737 AND i.variable_code = '63'
            AND i.territory_level = '1'
    WHERE s.series_code = 433 AND s.value IS NOT NULL AND i.value IS NOT NULL"""

# The dollar: SGS 1 against the closing bulletin of the day in Brasília.
_DOLLAR = """
    SELECT 'US dollar: SGS 1 against PTAX closing', s.reference_on, s.value::DOUBLE, p.selling_rate::DOUBLE,
           round(s.value, 4) = round(p.selling_rate, 4)
    FROM silver.bcb_sgs s JOIN silver.bcb_ptax p
         ON p.currency_code = 'USD' AND p.bulletin_type LIKE 'Fechamento%'
            AND timezone('America/Sao_Paulo', p.quoted_at)::DATE = s.reference_on
    WHERE s.series_code = 1 AND s.value IS NOT NULL AND p.selling_rate IS NOT NULL"""

_PAIRS = {
    ("silver.anatel_broadband_accesses", "silver.anatel_broadband_totals"): _BROADBAND,
    ("silver.bcb_sgs", "silver.ibge_sidra"): _IPCA,
    ("silver.bcb_sgs", "silver.bcb_ptax"): _DOLLAR,
}

_EMPTY = (
    "SELECT NULL::VARCHAR AS name, NULL::DATE AS period, NULL::DOUBLE AS ours, NULL::DOUBLE AS theirs,"
    " NULL::BOOLEAN AS agrees WHERE false"
)


def register(lake: Lake) -> None:
    """Make the view: name, period, ours, theirs, agrees. Periods that one side lacks are left out."""
    found = [query for tables, query in _PAIRS.items() if lake.has(*tables)]
    lake.connection.execute(f"CREATE OR REPLACE VIEW {VIEW} AS {' UNION ALL '.join([_EMPTY, *found])}")
