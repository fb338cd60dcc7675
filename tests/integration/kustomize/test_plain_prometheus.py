"""kustomize/prometheus does without the Prometheus operator what the components do with it."""

import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from testing.cluster.manifests import KUSTOMIZE, Kubectl, find_injector
from tests.integration.kustomize.exported_metrics import INJECTOR, SIDECAR
from tests.integration.kustomize.monitoring_files import COMPONENTS, PLAIN_RULE_FILES, load_alerts

FOLDER = KUSTOMIZE / "prometheus"
SCRAPE = yaml.safe_load((FOLDER / "scrape.yaml").read_text())["scrape_configs"]
JOBS: Mapping[str, Mapping[str, Any]] = {config["job_name"]: config for config in SCRAPE}
POD_MONITOR = yaml.safe_load((COMPONENTS[SIDECAR] / "monitor.yaml").read_text())["spec"]["podMetricsEndpoints"][0]

OWN_LABELS = {"namespace", "pod"}
"""The operator sets them for every monitor."""

Labels = dict[str, str]


def to_snake_case(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """A relabeling of a monitor as Prometheus' own configuration has it."""
    return {re.sub(r"([A-Z])", lambda found: f"_{found[1].lower()}", key): value for key, value in rule.items()}


RELABELINGS = {
    "plain": JOBS[SIDECAR]["relabel_configs"],
    "pod-monitor": [to_snake_case(rule) for rule in POD_MONITOR["relabelings"]],
}


def relabel(rules: Iterable[Mapping[str, Any]], labels: Labels) -> Labels | None:
    """The labels of a target after relabeling; None: it is dropped.

    https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config
    """
    labels = dict(labels)
    for rule in rules:
        value = ";".join(labels.get(name, "") for name in rule.get("source_labels", []))
        match = re.fullmatch(rule.get("regex", "(.*)"), value)
        action = rule.get("action", "replace")
        if (action == "keep" and not match) or (action == "drop" and match):
            return None
        if action == "replace" and match:
            labels[rule["target_label"]] = match.expand(rule.get("replacement", "$1").replace("$1", r"\1"))
    return labels


def build_target(**labels: str) -> Labels:
    """What Prometheus discovers of a pod's container, with its port if it declares one."""
    names = {"namespace": "team-a", "pod_name": "web", "pod_ip": "10.1.2.3", "pod_phase": "Running"} | labels
    address = ":".join(filter(None, [names["pod_ip"], names.get("pod_container_port_number")]))
    return {"__address__": address, **{f"__meta_kubernetes_{name}": value for name, value in names.items()}}


def list_injector_targets(kubectl: Kubectl, **labels: str) -> list[Labels]:
    """One for each port of the rendered Deployment's container."""
    manifests = kubectl.render(KUSTOMIZE / "base")
    deployment = next(each for each in manifests if each["kind"] == "Deployment")
    of_pod = {
        "pod_label_" + re.sub(r"[^a-zA-Z0-9]", "_", key): value
        for key, value in deployment["spec"]["template"]["metadata"]["labels"].items()
    }
    ports = [(port["name"], str(port["containerPort"])) for port in find_injector(manifests)["ports"]]
    return [
        build_target(**of_pod, pod_container_port_name=name, pod_container_port_number=number, **labels)
        for name, number in ports
    ]


@pytest.mark.parametrize("job", PLAIN_RULE_FILES)
def test_plain_rules_are_those_of_the_component(job: str) -> None:
    written = yaml.safe_load(PLAIN_RULE_FILES[job].read_text())

    assert written == load_alerts(job), "run `make rules`, which writes them"


def test_make_rules_changes_no_file(tmp_path: Path) -> None:
    """Comments too."""
    (tmp_path / "Makefile").write_text((KUSTOMIZE.parent / "Makefile").read_text())
    (tmp_path / "kustomize").mkdir()
    (tmp_path / "kustomize/components").symlink_to(KUSTOMIZE / "components")
    (tmp_path / "kustomize/prometheus").mkdir()

    subprocess.run(["make", "--silent", "rules"], cwd=tmp_path, timeout=60, check=True)

    for file in PLAIN_RULE_FILES.values():
        assert (tmp_path / "kustomize/prometheus" / file.name).read_text() == file.read_text()


def test_promtool_accepts_rules_and_scrape_configuration(promtool: str, tmp_path: Path) -> None:
    """Without discovery, which not every build of Prometheus has for Kubernetes."""
    files = [str(file) for file in PLAIN_RULE_FILES.values()]
    scrape = [{key: value for key, value in job.items() if key != "kubernetes_sd_configs"} for job in SCRAPE]
    config = {"rule_files": files, "scrape_configs": scrape}
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(config))

    done = subprocess.run(
        [promtool, "check", "config", str(tmp_path / "prometheus.yaml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("rules found") == len(files)


def test_health_port_of_the_injector_is_scraped_and_no_other_one(kubectl: Kubectl) -> None:
    rules = JOBS[INJECTOR]["relabel_configs"]

    kept = [found for target in list_injector_targets(kubectl) if (found := relabel(rules, target))]

    assert [(found["__address__"], found["namespace"], found["pod"]) for found in kept] == [
        ("10.1.2.3:9080", "team-a", "web")
    ]


def test_pods_that_have_ended_are_not_scraped(kubectl: Kubectl) -> None:
    """The operator's monitors leave them out by default; as targets they would be down for ever."""
    sidecar = build_target(pod_container_name="podrole-sidecar", pod_phase="Succeeded")

    assert relabel(JOBS[SIDECAR]["relabel_configs"], sidecar) is None
    injectors = list_injector_targets(kubectl, pod_phase="Failed")
    assert [relabel(JOBS[INJECTOR]["relabel_configs"], target) for target in injectors] == [None] * len(injectors)


def test_only_pods_of_podroles_namespace_count_as_injectors(kubectl: Kubectl) -> None:
    """Anybody can set the labels of a pod: a foreign one would hide that no injector is up."""
    deployment = next(each for each in kubectl.render(KUSTOMIZE / "base") if each["kind"] == "Deployment")

    [discovery] = JOBS[INJECTOR]["kubernetes_sd_configs"]

    assert discovery["namespaces"]["names"] == [deployment["metadata"]["namespace"]]


@pytest.mark.parametrize("rules", RELABELINGS.values(), ids=RELABELINGS)
@pytest.mark.parametrize(
    ("address", "target"),
    [
        pytest.param("10.1.2.3", "10.1.2.3:16926", id="ipv4"),
        pytest.param("fd00::1", "[fd00::1]:16926", id="ipv6"),
    ],
)
def test_sidecar_is_scraped_at_the_pods_address(rules: list[Mapping[str, Any]], address: str, target: str) -> None:
    found = relabel(rules, build_target(pod_container_name="podrole-sidecar", pod_ip=address))

    assert found is not None
    assert found["__address__"] == target


@pytest.mark.parametrize("rules", RELABELINGS.values(), ids=RELABELINGS)
def test_other_containers_are_not_scraped(rules: list[Mapping[str, Any]]) -> None:
    assert relabel(rules, build_target(pod_container_name="app", pod_container_port_number="8080")) is None


def test_scrape_configuration_has_jobs_interval_and_labels_of_the_monitors() -> None:
    assert JOBS.keys() == COMPONENTS.keys()
    assert [[one["role"] for one in config["kubernetes_sd_configs"]] for config in SCRAPE] == [["pod"], ["pod"]]
    assert JOBS[SIDECAR]["scrape_interval"] == POD_MONITOR["interval"]
    for config in JOBS.values():
        assert {rule["target_label"] for rule in config["relabel_configs"] if "target_label" in rule} >= OWN_LABELS
