{# Written by `make marts` from migration/: change it there. #}
{% macro is_of_people() %}coalesce(product_type NOT LIKE 'M2M%' AND product_type NOT LIKE 'OCIOSO%' AND product_type <> 'PONTO_DE_SERVICO', true){% endmacro %}
