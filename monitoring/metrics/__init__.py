"""What is measured, by name: the catalogue, and how its metrics are exported."""
