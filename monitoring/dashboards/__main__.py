"""Write every dashboard again: `make dashboards`. Run in the checkout, with the packages for developers."""

from pathlib import Path

from monitoring.dashboards import console, grafana, runbook

ROOT = Path(__file__).parents[2]
CONSOLES = ROOT / "deploy/prometheus/consoles"


def written() -> dict[Path, str]:
    """File → its content."""
    return {
        ROOT / "monitoring/dashboards/correnteza.json": grafana.text(),
        CONSOLES / "correnteza.html": console.text(),
        CONSOLES / "runbook.html": runbook.text((ROOT / "docs/runbook.md").read_text(encoding="utf-8")),
    }


if __name__ == "__main__":
    for file, content in written().items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
