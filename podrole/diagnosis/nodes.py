"""Findings about the API server and the nodes."""

from collections.abc import Iterator

from injector.decision.rules import NATIVE_SIDECARS, NATIVE_SIDECARS_ON_ALL_KUBELETS
from injector.k8s.objects import Object, parse_metadata, read_mapping
from injector.k8s.version import format_version, parse_version
from podrole.diagnosis.check_context import CheckContext, name_some, read_name
from podrole.diagnosis.cluster_findings import Kubernetes
from podrole.diagnosis.versions import read_server_version
from podrole.findings import Finding

FARGATE_LABEL = ("eks.amazonaws.com/compute-type", "fargate")


def find_server(context: CheckContext) -> Iterator[Finding]:
    """Whether the API server keeps native sidecars."""
    version = read_server_version(context.snapshot)
    if version is None:
        yield Kubernetes.SERVER_UNCLEAR.format(version=(context.snapshot.one("version") or {}).get("gitVersion"))
    elif version < NATIVE_SIDECARS:
        yield Kubernetes.SERVER_TOO_OLD.format(version=format_version(version))
    else:
        yield Kubernetes.SERVER.format(version=format_version(version))


def find_kubelets(context: CheckContext) -> Iterator[Finding]:
    """Whether every kubelet knows native sidecars, and whether the webhook has been told so where it must be."""
    nodes = [node for node in context.snapshot.all("nodes") if _read_info(node, "kubeletVersion")]
    if not nodes:
        yield Kubernetes.NO_NODES.format()
        return
    is_confirmed = context.effective_config is not None and context.effective_config.config.native_sidecars_confirmed
    if old := [_name_with_version(node) for node in nodes if _is_old(node)]:
        statement = Kubernetes.CONFIRMED_WRONGLY if is_confirmed else Kubernetes.KUBELETS_TOO_OLD
        yield statement.format(nodes=name_some(old))
        return
    versions = sorted({_read_info(node, "kubeletVersion") for node in nodes})
    yield Kubernetes.KUBELETS.format(count=len(nodes), versions=name_some(versions))
    server = read_server_version(context.snapshot)
    if server and NATIVE_SIDECARS <= server < NATIVE_SIDECARS_ON_ALL_KUBELETS and not is_confirmed:
        statement = Kubernetes.CONFIRM_KUBELETS if context.effective_config else Kubernetes.WILL_NEED_CONFIRMATION
        yield statement.format(version=format_version(server), count=len(nodes))


def check_node_platforms(context: CheckContext) -> Iterator[Finding]:
    """Nodes on which a pod is not redirected, and images that they may not have."""
    nodes = context.snapshot.all("nodes")
    if windows := [read_name(node) for node in nodes if _read_info(node, "operatingSystem") == "windows"]:
        yield Kubernetes.WINDOWS.format(nodes=name_some(windows))
    key, value = FARGATE_LABEL
    if fargate := [read_name(node) for node in nodes if parse_metadata(node).labels.get(key) == value]:
        yield Kubernetes.FARGATE.format(nodes=name_some(fargate))
    architectures = sorted({_read_info(node, "architecture") for node in nodes} - {""})
    if len(architectures) > 1:
        yield Kubernetes.ARCHITECTURES.format(architectures=", ".join(architectures))


def _is_old(node: Object) -> bool:
    version = parse_version(_read_info(node, "kubeletVersion"))
    return version is not None and version < NATIVE_SIDECARS


def _read_info(node: Object, key: str) -> str:
    return str(read_mapping(read_mapping(node, "status"), "nodeInfo").get(key) or "")


def _name_with_version(node: Object) -> str:
    return f"{read_name(node)} ({_read_info(node, 'kubeletVersion')})"
