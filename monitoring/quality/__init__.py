"""Data quality as views: scores of arrived rows, anomalies, and whether sources agree with one another."""
