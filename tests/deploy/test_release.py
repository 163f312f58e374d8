"""What `make release-check` looks at before it builds; the wheel itself is run by that verb alone."""

import json
import re
import subprocess
import sys
from pathlib import Path

from correnteza.embedded import lock
from deploy.release import check, materials, upgrade
from tests.helpers import ROOT


def test_a_release_has_one_version():
    assert check.disagreements("0.2.0", "# Changes\n\n## 0.2.0 (2026-12-01)\n", "v0.2.0\n") == []
    assert check.disagreements("0.2.0", "# Changes\n\n## 0.1.0\n\n## 0.2.0\n", "v0.1.0\n") == [
        "CHANGELOG.md does not begin with 0.2.0",
        "the tag v0.1.0 is not v0.2.0",
    ]


def test_the_tree_has_one_version():
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert check.disagreements(version, (ROOT / "CHANGELOG.md").read_text(), "") == []
    said = subprocess.run(
        [Path(sys.executable).with_name("correnteza"), "--version"], capture_output=True, text=True, check=True
    )
    assert said.stdout == f"correnteza {version}\n"


def test_what_a_wheel_lacks_is_named():
    tracked = ["schemas/contracts.py", "schemas/bcb_sgs.avsc"]
    assert check.left_out(tracked, [*tracked, "correnteza-0.1.0.dist-info/RECORD"]) == []
    assert check.left_out(tracked, ["schemas/contracts.py"]) == ["schemas/bcb_sgs.avsc"]


def test_the_bill_of_materials_names_every_locked_file_by_its_hash(tmp_path):
    packages, file = ROOT / "deploy/containers/requirements.lock", tmp_path / "bill.json"
    named = materials.write(packages, file, "0.1.0")
    bill = json.loads(file.read_text())
    assert bill["metadata"]["component"]["version"] == "0.1.0"
    assert len(bill["components"]) == named
    hashes = {each["content"] for component in bill["components"] for each in component["hashes"]}
    assert hashes == {*re.findall("[0-9a-f]{64}", packages.read_text()), *(each.sha256 for each in lock.read())}


def test_after_an_upgrade_every_query_has_the_generation_that_it_had():
    before = {"bronze.a": 1, "silver.a": 1, "gold.b": 2}
    assert upgrade.begun_anew(before, {**before, "gold.new": 1}) == []
    assert upgrade.begun_anew(before, {"bronze.a": 1, "silver.a": 2}) == ["gold.b", "silver.a"]
