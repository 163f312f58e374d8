"""docker-compose.yml opens nothing that should be shut: S1, S17, S18, S25 of docs/security.md. No engine is needed."""

import re
import tomllib

import pytest
import yaml

from correnteza.commands import init
from correnteza.settings import Settings
from correnteza.settings_errors import PREFIX, file_variable, secret_variables, variable
from tests.helpers import ROOT

TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "deploy/containers/Dockerfile").read_text(encoding="utf-8")
LOCK = ROOT / "deploy/containers/requirements.lock"
PUBLISHED = {"monitor": ["127.0.0.1:${STATUS_PORT:-9464}:9464"]}
"""The only way in from outside of the containers' networks."""

ONE_SHOT = ("topics", "databases", "airflow-migrate")
"""Services that do something once, and end."""


def services(text):
    return yaml.safe_load(text)["services"]


def flaws(text):
    """The oracle: what of a compose file gives a container more than it needs, or lets it run without bounds."""
    found = []
    for name, service in services(text).items():
        wants = {
            "runs as root": re.fullmatch(r"[1-9]\d*:\d+", str(service.get("user", ""))),
            "writes its root": service.get("read_only") is True,
            "keeps capabilities": service.get("cap_drop") == ["ALL"] and "cap_add" not in service,
            "may gain privileges": service.get("security_opt") == ["no-new-privileges:true"],
            "is privileged": not {"privileged", "devices", "pid", "ipc", "userns_mode"} & set(service),
            "shares a network": not service.get("network_mode"),
            "has no bound of processes": service.get("pids_limit"),
            "has no bound of memory": service.get("mem_limit"),
            "logs without bound": service.get("logging", {}).get("options", {}).get("max-size"),
            "is never looked at": name in ONE_SHOT or service.get("healthcheck"),
            "publishes a port": service.get("ports", []) == PUBLISHED.get(name, []),
            "starts a shell": all(isinstance(service.get(key, []), list) for key in ("command", "entrypoint")),
            "belongs to no profile": service.get("profiles"),
        }
        found += [f"{name} {flaw}" for flaw, is_right in wants.items() if not is_right]
        mounts = [volume.split(":") for volume in service.get("volumes", [])]
        found += [f"{name} has the engine's socket" for mount in mounts if "docker.sock" in mount[0]]
        found += [f"{name} writes {mount[0]}" for mount in mounts if mount[0][0] in "./" and mount[-1] != "ro"]
    inner = yaml.safe_load(text)["networks"]["inner"]
    return found + ([] if inner == {"internal": True} else ["the inner network leads out"])


def test_every_container_has_what_it_needs_and_no_more():
    assert flaws(TEXT) == []
    assert set(services(TEXT)) >= {"broker", "registry", "stream", "monitor", "schedule-1", "schedule-2", "replay"}
    assert set(services(TEXT)) >= {"postgres", "databases", "airflow-api", "airflow-dags", "airflow-scheduler"}


@pytest.mark.parametrize(
    ("old", "new", "damage"),
    [
        ('user: "10001:10001"', 'user: "0:0"', "broker runs as root"),
        ("read_only: true", "read_only: false", "stream writes its root"),
        ("cap_drop: [ALL]", "cap_drop: [NET_RAW]", "monitor keeps capabilities"),
        ('volumes: ["broker:', "ports: ['9092:9092']\n    volumes: [\"broker:", "broker publishes a port"),
        ('"127.0.0.1:${STATUS', '"${STATUS', "monitor publishes a port"),
        ('["registry:/', '["/var/run/docker.sock:/x", "registry:/', "registry has the engine's socket"),
        ("hostname: stream", "network_mode: host", "stream shares a network"),
        ("{internal: true}", "{}", "the inner network leads out"),
        ("mem_limit: 5g", "labels: []", "stream has no bound of memory"),
        ('user: "999:999"', 'user: "0:0"', "postgres runs as root"),
        (
            "entrypoint: [/opt/correnteza/.airflow/bin/airflow, scheduler]",
            "entrypoint: airflow scheduler",
            "airflow-scheduler starts a shell",
        ),
    ],
)
def test_control_each_thing_that_is_opened_is_found(old, new, damage, control):
    control.holds(flaws, TEXT)
    assert old in TEXT
    control.objects(flaws, TEXT.replace(old, new), damage=damage)


def optional(text):
    """The oracle: secrets without which the file would start nevertheless, or that stand in it."""
    asked = re.findall(r"^\s+(\w*(?:PASSWORD|SECRET|TOKEN)\w*): *(.*)$", text, re.MULTILINE)
    addresses = re.findall(r"^\s+(\w+): *(?:&\w+ )?\S+://\w+:(\S.*?)@", text, re.MULTILINE)
    return [f"{name} is optional or stands here: {value}" for name, value in asked if not value.startswith("${")
            or ":?" not in value] + [
        f"{name} has an optional password" for name, value in addresses if not re.match(r"\$\{\w+:\?", value)
    ]  # fmt: skip


def test_control_no_secret_has_a_default_and_init_generates_each(control):
    control.holds(optional, TEXT)
    assert set(re.findall(r"\$\{(\w+):\?", TEXT)) == set(init.SECRETS)
    damaged = TEXT.replace("${GRAFANA_ADMIN_PASSWORD:?run correnteza init, which writes .env}", "admin")
    control.objects(optional, damaged, damage="GF_SECURITY_ADMIN_PASSWORD is optional or stands here: admin")
    control.objects(
        optional,
        TEXT.replace("airflow:${AIRFLOW_DATABASE_PASSWORD:?", "airflow:${AIRFLOW_DATABASE_PASSWORD:-secret-"),
        damage="AIRFLOW__DATABASE__SQL_ALCHEMY_CONN has an optional password",
    )
    assert not re.search(r"^\w*(PASSWORD|SECRET|TOKEN)\w*=.+", (ROOT / ".env.example").read_text(), re.MULTILINE)


OF_THE_STORE = {"S3_ACCESS_KEY", "S3_SECRET_KEY"}
KEYS = {
    "schedule-1": {"API_KEYS"} | OF_THE_STORE,
    "schedule-2": {"API_KEYS"} | OF_THE_STORE,
    "stream": OF_THE_STORE,
    "monitor": OF_THE_STORE,
    "object-store": OF_THE_STORE,
    "databases": {"POSTGRES_ADMIN", "AIRFLOW_DATABASE", "MLFLOW_TRACKING", "QUALITY_DATABASE"},
    "airflow-scheduler": {"API_KEYS", "MLFLOW_TRACKING", "QUALITY_DATABASE"} | OF_THE_STORE,
}
"""Secrets by the service that needs them; PostgreSQL's superuser is known to one that ends."""


def test_each_variable_is_a_setting_and_a_key_is_given_to_those_who_need_it():
    known = {variable(name) for name in Settings.model_fields} | {file_variable(name) for name in Settings.model_fields}
    for name, service in services(TEXT).items():
        ours = {each for each in service.get("environment", {}) if each.startswith(PREFIX)}
        assert ours <= known | {"CORRENTEZA_CLOCK"}, name
        keys = ours & (secret_variables(Settings.model_fields) - {"CORRENTEZA_REGISTRY_URL"})
        assert {each.removeprefix(PREFIX) for each in keys} == KEYS.get(name, set()), name


def strangers(text):
    """The oracle: services in the network of the object store, whose parts know no password, that have not its keys."""
    return [
        f"{name} is in the network of the store"
        for name, service in services(text).items()
        if "store" in service["networks"] and not {PREFIX + key for key in OF_THE_STORE} <= set(service["environment"])
    ]


def test_control_only_who_has_the_keys_of_the_object_store_is_in_its_network(control):
    control.holds(strangers, TEXT)
    assert services(TEXT)["object-store"]["networks"] == ["store"]
    damaged = TEXT.replace("networks: [inner]\n    mem_limit: 512m", "networks: [inner, store]\n    mem_limit: 512m", 1)
    control.objects(strangers, damaged, damage="topics is in the network of the store")


def test_a_container_has_longer_to_stop_than_its_batches():
    grace = int(services(TEXT)["stream"]["stop_grace_period"].removesuffix("s"))
    assert grace > Settings().stop_timeout_seconds + 30


def test_only_grafana_is_a_foreign_image_and_has_a_profile_of_its_own():
    foreign = {name for name, service in services(TEXT).items() if ":-correnteza" not in service["image"]}
    assert foreign == {name for name, service in services(TEXT).items() if "grafana" in service["profiles"]}
    assert foreign == {"grafana"}
    # Nothing is pulled by a tag that somebody may move: it is named by digest in .env, or fails.
    assert services(TEXT)["grafana"]["image"].endswith("-image-by-digest}")


def test_the_image_carries_every_package_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {each.removesuffix("*") for each in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages == {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks", "deploy"}
    copied = re.findall(r"^COPY (\w+) (\w+)$", DOCKERFILE, re.MULTILINE)
    assert set(copied) == {(name, name) for name in packages}
    (compiled,) = re.findall(r"compileall -q -j 0 .venv/lib (.*) &&", DOCKERFILE)
    assert set(compiled.split()) == packages
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert packages <= {line.removeprefix("!") for line in sent}


def test_the_image_is_built_from_hashes_and_ends_without_root():
    assert "--require-hashes --requirement build/requirements.lock" in DOCKERFILE
    assert "--no-index" in DOCKERFILE
    assert "correnteza setup --offline" in DOCKERFILE
    assert not re.search(r"^\s*(ADD|RUN.*(curl|wget|apt-get))", DOCKERFILE, re.MULTILINE)
    assert "# syntax=" not in DOCKERFILE
    users = re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE)
    assert users[-1] == "10001:10001"
    assert re.findall(r"^(?:ENTRYPOINT|CMD) (.)", DOCKERFILE, re.MULTILINE) == ["[", "["]


@pytest.mark.parametrize(
    ("file", "pip"),
    [
        (
            "deploy/company/Dockerfile",
            "--find-links build/$each --no-deps --require-hashes --requirement build/$each.lock",
        ),
        (
            "deploy/containers/Dockerfile.store",
            "--find-links build --no-deps --require-hashes --requirement build/store.lock",
        ),
    ],
)
def test_an_image_on_ours_is_built_from_hashes_and_ends_without_root(file, pip):
    text = (ROOT / file).read_text(encoding="utf-8")
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${PRODUCT}"}
    assert f"--no-index {pip}" in text
    assert not re.search(r"^\s*(ADD|RUN.*(curl|wget|apt-get))", text, re.MULTILINE)
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE)[-1] == "10001:10001"
    copied = re.findall(r"^COPY (?!--from)(\S+) ", text, re.MULTILINE)
    known = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert [each for each in copied if not any(each.startswith(line[1:]) for line in known if line[0] == "!")] == []


def pins(file):
    """Package → (version, hashes) of a lock file."""
    text = file.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^([\w.-]+)==([^\s;]+)(.*)$", text, re.MULTILINE)
    return {name: (version, set(re.findall(r"sha256:\w+", rest))) for name, version, rest in lines}


def test_the_image_s_packages_are_those_of_the_project_s_lock_without_what_only_tests_need():
    ours, all_ = pins(LOCK), pins(ROOT / "requirements.lock")
    assert {name: all_.get(name) for name in ours} == ours
    assert {"pyspark", "duckdb", "confluent-kafka"} <= set(ours)
    assert not {"pytest", "mypy", "ruff", "polars"} & set(ours)
