{# Every key once, and no part of it missing where that is said. #}
{% test key_is_unique(model, columns, never_null=true) %}
  select {{ columns | join(', ') }}, count(*) as times
  from {{ model }}
  group by {{ columns | join(', ') }}
  having count(*) > 1 {% if never_null %}{% for column in columns %} or {{ column }} is null{% endfor %}{% endif %}
{% endtest %}

{# No row breaks a predicate; as in a CHECK, only false breaks it. #}
{% test rows_meet(model, predicate) %}
  select * from {{ model }} where not ({{ predicate }})
{% endtest %}

{# The shares of a month and municipality add up to 100 %. #}
{% test shares_are_whole(model) %}
  select reference_month_on, municipality_code, sum(share_percent) as percent
  from {{ model }}
  where municipality_accesses > 0
  group by reference_month_on, municipality_code
  having abs(sum(share_percent) - 100) > 1e-6
{% endtest %}
