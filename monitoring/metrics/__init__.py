"""The catalogue of metrics, and their export."""
