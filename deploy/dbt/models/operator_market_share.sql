{{ config(unique_key=['reference_month_on', 'municipality_code', 'cnpj']) }}
with held as (
  select reference_month_on, municipality_code, cnpj, sum(accesses) as accesses, max(known_from) as known_from
  from {{ source('silver', 'anatel_mobile_accesses') }}
  where municipality_code is not null and {{ is_of_people() }}
  group by reference_month_on, municipality_code, cnpj
)
select
  h.reference_month_on,
  h.municipality_code,
  m.name as municipality_name,
  m.uf,
  h.cnpj,
  o.company,
  o.economic_group,
  h.accesses,
  sum(h.accesses) over place as municipality_accesses,
  100e0 * h.accesses / nullif(sum(h.accesses) over place, 0) as share_percent,
  rank() over (partition by h.reference_month_on, h.municipality_code order by h.accesses desc) as place,
  max(h.known_from) over place as known_from
from held h
left join {{ source('gold', 'dim_municipality') }} m on m.municipality_code = h.municipality_code
left join {{ source('gold', 'dim_operator') }} o
  on o.cnpj = h.cnpj
  and h.reference_month_on between o.valid_from_on and coalesce(o.valid_to_on, date '9999-12-31')
window place as (partition by h.reference_month_on, h.municipality_code)
