"""The manifests of deploy/kubernetes are valid, and open nothing that should be shut (S1, S17, S18, S25 of
docs/security.md). No cluster is needed: Kubernetes' own schemas come with kubernetes-validate."""

import re
import shutil
import subprocess
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import typer
import yaml

from correnteza.cli import app
from correnteza.settings import Settings
from correnteza.settings_errors import secret_variables, variable
from producers.schedule.worker import STOP_SECONDS
from tests.controls import complaint
from tests.helpers import ROOT

FOLDER = ROOT / "deploy/kubernetes"
LISTED = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
TEXT = "\n---\n".join((FOLDER / name).read_text(encoding="utf-8") for name in LISTED)
RELEASES = ("1.30", "1.37")
"""The oldest and the newest Kubernetes whose schemas the manifests fit."""
WORKLOADS = ("StatefulSet", "Deployment")


def documents(text):
    return list(yaml.safe_load_all(text))


def of(text, *kinds):
    return {each["metadata"]["name"]: each for each in documents(text) if each["kind"] in kinds}


def pods(text):
    return {name: each["spec"]["template"]["spec"] for name, each in of(text, *WORKLOADS).items()}


def containers(text):
    """Name → its pod and itself. Each container's name says what runs in it."""
    return {each["name"]: (pod, each) for pod in pods(text).values() for each in pod["containers"]}


def volumes(pod, container):
    """Kind and value of each volume that a container mounts; of a claim by template, the name alone."""
    there = {each["name"]: each for each in pod["volumes"]}
    mounted = [there.get(each["name"], {}) for each in container["volumeMounts"]]
    return [(kind, value) for each in mounted for kind, value in each.items() if kind != "name"]


def invalid(text):
    """The oracle: which document a release of Kubernetes does not take, and why. A field it does not know is wrong."""
    found = []
    for document in documents(text):
        for release in RELEASES:
            try:
                kubernetes_validate.validate(document, release, strict=True)
            except kubernetes_validate.ValidationError as error:
                found.append(f"{document['kind']} {document['metadata']['name']}, {release}: {error.message}")
    return found


def test_control_every_document_is_valid_by_kubernetes_own_schemas(control):
    control.holds(invalid, TEXT)
    control.objects(invalid, TEXT.replace("serviceName:", "serviceNome:"), damage="'serviceNome' was unexpected")
    control.objects(invalid, TEXT.replace("periodSeconds: 10", "periodSeconds: often"), damage="'often' is not of type")


def test_every_file_is_listed_once():
    there = {file.name for file in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert sorted(LISTED) == sorted(there)


@pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl on this machine")
def test_kustomize_puts_all_into_one_namespace(control):
    built = subprocess.run(["kubectl", "kustomize", FOLDER], capture_output=True, text=True, check=True).stdout
    assert len(documents(built)) == len(documents(TEXT))
    spaces = {each["metadata"].get("namespace") for each in documents(built) if each["kind"] != "Namespace"}
    assert spaces == {"correnteza"}
    control.holds(invalid, built)
    control.holds(flaws, built)
    control.objects(flaws, built.replace("type: ClusterIP", "type: NodePort"), damage="monitor is reached from outside")


def flaws(text):
    """The oracle: what gives a pod more than it needs, lets it run without bounds, or opens it to others."""
    found = []
    for name, (pod, container) in containers(text).items():
        own, has = pod.get("securityContext", {}), volumes(pod, container)
        narrow, resources = container.get("securityContext", {}), container.get("resources", {})
        wants = {
            "runs as root": own.get("runAsNonRoot") is True and own.get("runAsUser", 0) > 0,
            "may use any system call": own.get("seccompProfile") == {"type": "RuntimeDefault"},
            "writes its root": narrow.get("readOnlyRootFilesystem") is True,
            "keeps capabilities": narrow.get("capabilities") == {"drop": ["ALL"]},
            "may gain privileges": narrow.get("allowPrivilegeEscalation") is False,
            "is privileged": not {"privileged", "procMount", "runAsUser", "runAsNonRoot"} & set(narrow),
            "shares its node": not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(pod),
            "has a port of its node": not any("hostPort" in port for port in container["ports"]),
            "mounts what is no disk of its own": {kind for kind, _ in has} <= {"emptyDir", "secret"},
            "has the cluster's token": pod.get("automountServiceAccountToken") is False,
            "takes Services for settings": pod.get("enableServiceLinks") is False,
            "has no bound of memory and CPU": {"memory", "cpu"} <= resources.get("limits", {}).keys(),
            "has no bound of scratch files": all("sizeLimit" in one for kind, one in has if kind == "emptyDir"),
            "is never looked at": {"livenessProbe", "startupProbe"} <= container.keys(),
            "starts a shell": isinstance(container.get("args"), list) and "command" not in container,
            "starts without a secret": not any(one.get("optional") for _, one in has),
        }  # fmt: skip
        found += [f"{name} {flaw}" for flaw, is_right in wants.items() if not is_right]
    for name, service in of(text, "Service").items():
        spec = service["spec"]
        if spec.get("type", "ClusterIP") != "ClusterIP" or {"externalIPs", "externalName"} & set(spec):
            found.append(f"{name} is reached from outside")
    policies = of(text, "NetworkPolicy").values()
    if {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} not in [each["spec"] for each in policies]:
        found.append("what no policy names is open")
    opened = [rule for each in policies for rule in each["spec"].get("ingress", []) if not rule.get("from")]
    found += ["a policy lets everybody in" for _ in opened]
    known = {"Namespace", "ConfigMap", "Service", "NetworkPolicy", *WORKLOADS}
    return found + [f"a {each['kind']} has no place here" for each in documents(text) if each["kind"] not in known]


def test_every_pod_has_what_it_needs_and_no_more():
    assert flaws(TEXT) == []
    assert set(containers(TEXT)) == {"stream", "schedule", "monitor"}


@pytest.mark.parametrize(
    ("old", "new", "damage"),
    [
        ("runAsNonRoot: true", "runAsNonRoot: false", "stream runs as root"),
        ("runAsUser: 10001", "runAsUser: 0", "schedule runs as root"),
        ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "stream writes its root"),
        ("{drop: [ALL]}", "{drop: [ALL], add: [NET_RAW]}", "monitor keeps capabilities"),
        ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "stream may gain privileges"),
        ("allowPrivilegeEscalation: false", "privileged: true", "schedule is privileged"),
        ("enableServiceLinks: false", "hostNetwork: true", "stream shares its node"),
        ("enableServiceLinks: false", "dnsPolicy: Default", "stream takes Services for settings"),
        ("automountServiceAccountToken: false", "hostname: a", "monitor has the cluster's token"),
        ("limits: {cpu:", "requests: {cpu:", "stream has no bound of memory and CPU"),
        ("emptyDir: {sizeLimit: 10Gi}", "emptyDir: {}", "schedule has no bound of scratch files"),
        ("emptyDir: {sizeLimit: 10Gi}", "hostPath: {path: /}", "schedule mounts what is no disk of its own"),
        ("args: [run, all]", "command: [sh, -c, run]", "stream starts a shell"),
        ("{secretName: store,", "{optional: true, secretName: store,", "stream starts without a secret"),
        ("type: ClusterIP", "type: LoadBalancer", "monitor is reached from outside"),
        ("policyTypes: [Ingress, Egress]", "policyTypes: [Ingress]", "what no policy names is open"),
        ("kind: ConfigMap", "kind: Secret", "a Secret has no place here"),
    ],
)
def test_control_each_thing_that_is_opened_is_found(old, new, damage, control):
    control.holds(flaws, TEXT)
    assert old in TEXT
    control.objects(flaws, TEXT.replace(old, new), damage=damage)


def test_one_driver_owns_the_tables_and_pollers_are_two():
    found = of(TEXT, *WORKLOADS)
    assert {name: (each["kind"], each["spec"]["replicas"]) for name, each in found.items()} == {
        "stream": ("StatefulSet", 1),  # a Deployment starts a second one before the first has ended
        "schedule": ("Deployment", 2),
    }


def too_short(text, seconds):
    """The oracle: which pod is killed before its process may have ended."""
    graces = {name: pod["terminationGracePeriodSeconds"] for name, pod in pods(text).items()}
    return [f"{name} is killed after {graces[name]} s" for name, least in seconds.items() if graces[name] <= least]


def test_control_a_pod_has_longer_to_stop_than_its_batches(control):
    least = {"stream": Settings().stop_timeout_seconds + 30, "schedule": STOP_SECONDS}
    control.holds(too_short, TEXT, least)
    damaged = TEXT.replace("terminationGracePeriodSeconds: 120", "terminationGracePeriodSeconds: 30")
    control.objects(too_short, damaged, least, damage="stream is killed after 30 s")


def parses(arguments):
    """Raises: what click raises of a verb, an argument or an option that is not there. Nothing is run."""
    group = typer.main.get_command(app)
    verb = group.get_command(typer.Context(group), arguments[0])
    if verb is None:
        raise LookupError(f"no verb {arguments[0]}")
    verb.make_context(arguments[0], arguments[1:])


def unknown_commands(text):
    """The oracle: command lines that the command line does not take."""
    lines = {name: container["args"] for name, (_, container) in containers(text).items()}
    found = {name: complaint(lambda line=line: parses(list(line))) for name, line in lines.items()}
    return [f"{name}: {why}" for name, said in found.items() for why in said]


def test_control_each_command_line_is_one_of_ours(control):
    control.holds(unknown_commands, TEXT)
    control.objects(unknown_commands, TEXT.replace("args: [monitor]", "args: [watch]"), damage="no verb watch")
    control.objects(unknown_commands, TEXT.replace("--port,", "--porto,"), damage="No such option: --porto")


def test_a_probe_asks_what_its_process_serves():
    asked = {name: container for name, (_, container) in containers(TEXT).items()}
    known = Settings()
    ports = {name: {port["name"]: port["containerPort"] for port in each["ports"]} for name, each in asked.items()}
    assert ports == {
        "stream": {"metrics": known.stream_metrics_port},
        "schedule": {"metrics": known.schedule_metrics_port},
        "monitor": {"status": known.monitor_port},
    }
    assert asked["stream"]["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "metrics"}
    assert asked["monitor"]["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "status"}
    assert asked["monitor"]["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "status"}
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    assert asked["schedule"]["livenessProbe"]["exec"]["command"] == compose["schedule-1"]["healthcheck"]["test"][1:]
    assert asked["schedule"]["args"] == compose["schedule-1"]["command"]


def variables(text):
    """Container → its variables, those of the ConfigMap among them."""
    [settings] = of(text, "ConfigMap").values()
    own = {name: container["env"] for name, (_, container) in containers(text).items()}
    return {name: settings["data"] | {each["name"]: each["value"] for each in found} for name, found in own.items()}


def wrong_settings(text, monkeypatch, folder):
    """The oracle: what the settings say of each container's variables. Files of secrets stand in a folder of ours."""
    found = []
    secrets = {"CORRENTEZA_API_KEYS_FILE": "{}", "CORRENTEZA_REGISTRY_URL_FILE": "https://user:word@registry.example"}
    for name, given in variables(text).items():
        with monkeypatch.context() as context:
            for each, value in given.items():
                if each.endswith("_FILE"):
                    (folder / each).write_text(secrets.get(each, "word") + "\n")
                context.setenv(each, str(folder / each) if each.endswith("_FILE") else value)
            found += [f"{name}: {why}" for why in complaint(Settings)]
    return found


def test_control_each_variable_is_a_setting_with_a_value_that_it_takes(monkeypatch, tmp_path, control):
    monkeypatch.chdir(tmp_path)
    given = monkeypatch, tmp_path
    control.holds(wrong_settings, TEXT, *given)
    damaged = TEXT.replace("_KAFKA_CA,", "_KAFKA_CO,")
    control.objects(wrong_settings, damaged, *given, damage="CORRENTEZA_KAFKA_CO")
    damaged = TEXT.replace("_KAFKA_PASSWORD_FILE,", "_KAFKA_PASWORD_FILE,")
    control.objects(wrong_settings, damaged, *given, damage="CORRENTEZA_KAFKA_PASWORD_FILE")
    damaged = TEXT.replace("_SECURITY: SASL_SSL", "_SECURITY: SASL")
    control.objects(wrong_settings, damaged, *given, damage="CORRENTEZA_KAFKA_SECURITY")


def given_secrets(text):
    """The oracle: secrets that stand in a manifest, that have no file, or that one gets who does not need them."""
    found = []
    secret = secret_variables(Settings.model_fields)
    for name, given in variables(text).items():
        _, container = containers(text)[name]
        folders = {each["mountPath"] for each in container["volumeMounts"] if each.get("readOnly")}
        found += [f"{name} is told {each}" for each in secret & given.keys()]
        for each in sorted(given.keys() & {f"{every}_FILE" for every in secret}):
            if given[each].rpartition("/")[0] not in folders:
                found.append(f"{name} has no file {given[each]}")
            if each == "CORRENTEZA_API_KEYS_FILE" and name != "schedule":
                found.append(f"{name} gets the keys of sources")
    return found


def test_control_secrets_are_files_and_each_is_mounted(control):
    control.holds(given_secrets, TEXT)
    damaged = TEXT.replace("CORRENTEZA_PROFILE: prod", "CORRENTEZA_KAFKA_PASSWORD: x")
    control.objects(given_secrets, damaged, damage="stream is told CORRENTEZA_KAFKA_PASSWORD")
    damaged = TEXT.replace("/run/secrets/store, readOnly", "/run/secrets/stores, readOnly")
    control.objects(given_secrets, damaged, damage="monitor has no file /run/secrets/store/access_key")


def test_each_component_logs_in_as_its_own_principal():
    users = {name: given[variable("kafka_user")] for name, given in variables(TEXT).items()}
    assert users == {"stream": "stream", "schedule": "poller", "monitor": "monitor"}  # the roles of `topics acls`
    secrets = {
        name: [one["secretName"] for kind, one in volumes(*found) if kind == "secret" and "kafka" in one["secretName"]]
        for name, found in containers(TEXT).items()
    }
    assert secrets == {"stream": ["kafka-stream"], "schedule": ["kafka-poller"], "monitor": ["kafka-monitor"]}


def test_policies_let_out_to_the_ports_of_the_settings():
    given = variables(TEXT)["schedule"]
    kafka = {int(each.rpartition(":")[2]) for each in given[variable("kafka_bootstrap")].split(",")}
    wanted = {*kafka, urlsplit(given[variable("s3_endpoint")]).port, 443, 53}
    rules = of(TEXT, "NetworkPolicy")["services"]["spec"]["egress"]
    assert {port["port"] for rule in rules for port in rule["ports"]} == wanted


def test_the_monitor_reads_the_disk_of_the_driver_and_never_writes_it():
    (pod, monitor), (same, stream) = (containers(TEXT)[name] for name in ("monitor", "stream"))
    assert pod == same  # a pod of its own would keep the disk on its node
    homes = [[each for each in one["volumeMounts"] if each["name"] == "home"] for one in (stream, monitor)]
    assert homes == [
        [{"name": "home", "mountPath": "/var/lib/correnteza"}],
        [{"name": "home", "mountPath": "/var/lib/correnteza", "readOnly": True}],
    ]
    assert of(TEXT, "Service")["monitor"]["spec"]["publishNotReadyAddresses"]  # it shows why the driver is not ready


def test_the_image_is_that_of_docker_compose():
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    [default] = re.findall(r"image: \$\{CORRENTEZA_IMAGE:-(.+)\}", compose)
    assert {container["image"] for _, container in containers(TEXT).values()} == {default}
    [image] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))["images"]
    assert f"{image['name']}:{image['newTag']}" == default
