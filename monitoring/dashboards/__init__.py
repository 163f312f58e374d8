"""Dashboards from one list of panels: for Grafana, and as a page that Prometheus serves itself."""
