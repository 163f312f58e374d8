"""The tree keeps the promises of ARCHITECTURE.md: imports point one way, only sinks/ writes Delta."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# package → what it may import of ours besides itself
ALLOWED = {
    "foundation": set(),
    "storage": {"foundation"},
    "schemas": {"foundation"},
    "sinks": {"foundation", "storage", "schemas"},
    "producers": {"foundation", "storage", "schemas"},
    "stream_jobs": {"foundation", "storage", "schemas", "sinks"},
    "monitoring": {"foundation", "storage", "schemas"},
    "migration": {"foundation", "storage", "schemas", "producers", "monitoring"},
    "replay": {"foundation"},
    "correnteza": {
        "foundation",
        "storage",
        "schemas",
        "sinks",
        "producers",
        "stream_jobs",
        "monitoring",
        "migration",
        "replay",
    },
}

# package → room → the other rooms of the package that it may import; what stands beside the rooms imports none of them
ROOMS: dict[str, dict[str, set[str]]] = {
    "stream_jobs": {
        "running": set(),
        "bronze": {"running"},
        "silver": {"running", "bronze"},
        "gold": {"running", "silver"},
        "rebuild": {"running", "bronze", "silver", "gold"},
    },
    "monitoring": {
        "lag": set(),
        "proof": {"lag"},
        "reading": {"lag", "proof"},
        "quality": set(),
        "dashboards": set(),
        "metrics": set(),
        "web": {"lag"},
        "watch": {"lag", "metrics", "web"},
    },
    "sinks": {"ops": set()},
}
OF_ALL_LAYERS = {"stream_jobs/running/driver.py", "stream_jobs/running/inputs.py"}
"""What starts every layer's queries, and what knows the tables that each reads."""

# How Delta tables get written, in Spark's, delta-spark's and delta-rs' words.
DELTA_WRITES = re.compile(
    r"\.saveAsTable\(|\.whenMatched|\.whenNotMatched|write_deltalake\(|\.optimize\(\)|\.vacuum\(|"
    r"DeltaTable\.create|\bdelta\.create\(|\.write(Stream)?\b.*format\(\"delta\"\)|\.toTable\("
)


def imported_packages(file: Path) -> set[str]:
    """Our own top-level packages that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
    return found & ALLOWED.keys()


def imported_rooms(text: str, package: str) -> set[str]:
    """Rooms of a package that a module imports."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {room for room in ROOMS[package] if any(f"{name}.".startswith(f"{package}.{room}.") for name in names)}


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_point_down_the_tree(package):
    offending = {
        f"{file.relative_to(ROOT)} imports {other}"
        for file in (ROOT / package).rglob("*.py")
        for other in imported_packages(file) - {package} - ALLOWED[package]
    }
    assert offending == set()


def test_control_the_import_check_sees_an_import(tmp_path, control):
    def imported(text: str) -> list[str]:
        file = tmp_path / "some.py"
        file.write_text(text)
        return [f"{file.name} imports {package}" for package in imported_packages(file)]

    control.holds(imported, "def late():\n    from json import loads\n")
    damage = "some.py imports stream_jobs"
    control.objects(imported, "def late():\n    from stream_jobs.running.driver import run\n", damage=damage)


@pytest.mark.parametrize("package", sorted(ROOMS))
def test_rooms_import_only_the_rooms_below_them(package):
    offending = set()
    for file in (ROOT / package).rglob("*.py"):
        path = file.relative_to(ROOT)
        if path.as_posix() not in OF_ALL_LAYERS:
            allowed = ROOMS[package].get(path.parts[1], set()) | {path.parts[1]}
            found = imported_rooms(file.read_text(encoding="utf-8"), package)
            offending |= {f"{path} imports {package}.{room}" for room in found - allowed}
    assert offending == set()


def test_control_the_check_of_rooms_sees_an_import(control):
    def imported(text: str) -> list[str]:
        return [f"some.py imports {room}" for room in sorted(imported_rooms(text, "stream_jobs"))]

    control.holds(imported, "from stream_jobs import places\n")
    control.objects(imported, "from stream_jobs import gold\n", damage="imports gold")
    control.objects(imported, "from stream_jobs.running.jobs import Job\n", damage="imports running")


def test_only_sinks_writes_delta():
    packages = ALLOWED.keys() - {"sinks"}
    offending = {
        f"{file.relative_to(ROOT)}:{number}"
        for package in packages
        for file in (ROOT / package).rglob("*.py")
        if file != ROOT / "storage" / "delta.py"  # makes them for sinks, wherever they stand
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if DELTA_WRITES.search(line)
    }
    assert offending == set()


BARE = re.compile(
    r"DeltaTable\(|DeltaTable\.(create|is_deltatable)|deltalake\(\s*(str\()?\w*path"
    r"|pq\.(ParquetFile|ParquetWriter|read_metadata)|Path\([\w.]*(lake|archive)\b"
    r"|(\.lake|\.archive|lake_root|archive_root)\b[^=:]*\.(glob|rglob|stat|exists|iterdir|open)\("
)
"""How a table or a file of lake or archive would be reached past `storage`, as only a local disk allows."""
ON_THIS_MACHINE = {
    "sinks/forecasts.py",
    "correnteza/recovering.py",
    "correnteza/rows.py",
    "correnteza/commands/features.py",
}
"""What reads or writes Parquet files that its user names, or scratch files."""


def bare(text: str) -> list[str]:
    """Lines that reach lake or archive past `storage`."""
    return [line.strip() for line in text.splitlines() if BARE.search(line)]


def test_lake_and_archive_are_reached_by_storage_alone():
    offending = {
        f"{file.relative_to(ROOT)}: {line}"
        for package in ALLOWED.keys() - {"storage"}
        for file in (ROOT / package).rglob("*.py")
        if file.relative_to(ROOT).as_posix() not in ON_THIS_MACHINE
        for line in bare(file.read_text(encoding="utf-8"))
    }
    assert offending == set()


@pytest.mark.parametrize(
    "line",
    ["table = DeltaTable(path)", "for each in (self.lake / layer).glob('*'):", "root = Path(places.lake)"],
)
def test_control_the_search_sees_a_bare_path(line, control):
    control.holds(bare, "table = delta.table(path)\nfiles.folders(places.lake)\n")
    control.objects(bare, line, damage=line)


@pytest.mark.parametrize(
    "line",
    ['frame.write.format("delta").save(path)', "table.merge(source, on).whenMatchedUpdateAll()"],
)
def test_control_the_delta_check_sees_a_write(line, control):
    def writes(line: str) -> list[str]:
        return [f"writes Delta by {found[0]}" for found in [DELTA_WRITES.search(line)] if found]

    control.holds(writes, 'spark.read.format("delta").load(path)')
    control.objects(writes, line, damage="writes Delta by .w")


def test_nothing_below_the_command_line_reads_settings_or_the_environment():
    allowed = {ROOT / "foundation" / name for name in ("clock.py", "failpoints.py", "log.py", "notify.py")}
    offending = {
        str(file.relative_to(ROOT))
        for package in ALLOWED.keys() - {"correnteza"}
        for file in (ROOT / package).rglob("*.py")
        if file not in allowed and re.search(r"os\.(environ|getenv)|BaseSettings", file.read_text(encoding="utf-8"))
    }
    assert offending == set()


def test_rows_go_to_spark_by_one_module():
    """Spark alone loses the rows after an empty batch of Arrow's, and reads a list through a Python worker:
    sinks/arrow_frames.py."""
    files = [*ROOT.glob("sinks/**/*.py"), *ROOT.glob("stream_jobs/**/*.py"), *ROOT.glob("correnteza/**/*.py")]
    found = [str(file.relative_to(ROOT)) for file in files if "createDataFrame" in file.read_text(encoding="utf-8")]
    assert found == ["sinks/arrow_frames.py"]


def test_every_client_of_kafka_is_configured_by_one_module():
    """Who writes the address himself logs in to no cluster that asks for it: foundation/kafka.py."""
    files = [file for package in ALLOWED if package != "replay" for file in ROOT.glob(f"{package}/**/*.py")]
    found = [str(file.relative_to(ROOT)) for file in files if '"bootstrap.servers"' in file.read_text(encoding="utf-8")]
    assert found == ["foundation/kafka.py"]
