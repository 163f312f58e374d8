"""A host whose zone is not UTC reads the same rows from the same bytes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

READ = """
import sys
from datetime import datetime
from pathlib import Path
from producers import sources
from tests.golden import kit

print(datetime(2018, 12, 1).astimezone().isoformat())
for name in sources.load_all():
    for case in kit.load(name).cases:
        printed, _ = kit.output(case, Path(sys.argv[1]))
        if kit.digest(printed) != case.sha256:
            print(f"{name}/{case.name} reads otherwise here")
"""


def differences(zone: str, folder: Path, script: str = READ) -> list[str]:
    """What a process whose host is in that zone reads otherwise than the golden files say."""
    done = subprocess.run(
        [sys.executable, "-c", script, folder],
        env={**os.environ, "TZ": zone},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    midnight, *different = done.stdout.splitlines()
    offset = {"America/Sao_Paulo": "-02:00", "Asia/Tokyo": "+09:00"}[zone]
    assert midnight == f"2018-12-01T00:00:00{offset}", "the host is not in that zone"
    return different


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "Asia/Tokyo"])
def test_every_golden_file_is_read_alike_by_hosts_of_other_zones(tmp_path, zone):
    assert differences(zone, tmp_path) == []


def test_control_a_parser_that_takes_a_wall_clock_for_its_hosts_is_found(tmp_path, control):
    """The Banco Central's quotations, read as if the host's clock were Brasilia's."""
    control.holds(differences, "Asia/Tokyo", tmp_path)
    naive = "from producers.sources import bcb_ptax\nbcb_ptax.BRASILIA = None\n"
    control.objects(differences, "Asia/Tokyo", tmp_path, naive + READ, damage="bcb_ptax/")
