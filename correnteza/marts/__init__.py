"""The marts: tables that dbt makes in SQL from silver and gold, in the Spark session of this process."""
