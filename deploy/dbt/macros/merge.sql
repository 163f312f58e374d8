{#
  A model is a query of all its rows. Rows that are new or differ are written, rows that are gone are deleted, and
  nothing else: one late row of a source changes the one row that follows from it. dbt-spark's own MERGE would write
  every row that it finds, and delete none.
#}
{% macro spark__get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates) %}
  {%- set keys = [unique_key] if unique_key is string else unique_key -%}
  {%- set same = [] -%}
  {%- for column in adapter.get_columns_in_relation(target) if column.name not in keys -%}
    {%- do same.append('held.`' ~ column.name ~ '` <=> computed.`' ~ column.name ~ '`') -%}
  {%- endfor %}
  merge into {{ target }} as held using {{ source }} as computed
  on {% for key in keys %}held.`{{ key }}` <=> computed.`{{ key }}`{{ ' and ' if not loop.last }}{% endfor %}
  when matched and not ({{ same | join(' and ') }}) then update set *
  when not matched then insert *
  when not matched by source then delete
{% endmacro %}
