"""Quality as data: scores of what arrived, anomalies in it, and whether sources agree with one another."""
