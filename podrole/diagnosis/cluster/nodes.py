"""Checks of the API server and the nodes."""

from collections.abc import Iterable, Iterator

from injector.decision.deny_rules import NATIVE_SIDECARS, NATIVE_SIDECARS_ON_ALL_KUBELETS
from injector.k8s.objects import Object, parse_metadata, read_mapping
from injector.k8s.version import format_version, parse_version
from injector.value_types import ModePolicy
from podrole.diagnosis.cluster.findings import Kubernetes
from podrole.diagnosis.state.check_context import CheckContext, join_names, read_name
from podrole.diagnosis.state.versions import read_server_version
from podrole.findings import Finding

FARGATE_LABEL = ("eks.amazonaws.com/compute-type", "fargate")
VIRTUAL_LABEL = ("type", "virtual-kubelet")
"""https://github.com/virtual-kubelet/virtual-kubelet"""


def check_api_server(context: CheckContext) -> Iterator[Finding]:
    """Check that the API server supports native sidecars."""
    document = context.installation.version.value
    version = read_server_version(document)
    if version is None:
        yield Kubernetes.API_SERVER_VERSION_UNKNOWN.format(version=document.get("gitVersion"))
    elif version < NATIVE_SIDECARS:
        yield Kubernetes.API_SERVER_TOO_OLD.format(version=format_version(version))
    else:
        yield Kubernetes.API_SERVER_SUPPORTED.format(version=format_version(version))


def check_kubelets(context: CheckContext) -> Iterator[Finding]:
    """Check that every kubelet supports native sidecars, and that the setting that confirms it is correct."""
    nodes = [node for node in context.cluster.nodes.value if _read_info(node, "kubeletVersion")]
    if not nodes:
        yield Kubernetes.NO_NODES.format()
        return
    is_confirmed = context.effective_config is not None and context.effective_config.config.native_sidecars_confirmed
    if old := [_format_node(node) for node in nodes if _is_too_old(node)]:
        template = Kubernetes.NATIVE_SIDECARS_WRONGLY_CONFIRMED if is_confirmed else Kubernetes.KUBELETS_TOO_OLD
        yield template.format(nodes=join_names(old))
        return
    versions = sorted({_read_info(node, "kubeletVersion") for node in nodes})
    yield Kubernetes.KUBELETS_SUPPORTED.format(count=len(nodes), versions=join_names(versions))
    server = read_server_version(context.installation.version.value)
    if server and NATIVE_SIDECARS <= server < NATIVE_SIDECARS_ON_ALL_KUBELETS and not is_confirmed:
        template = (
            Kubernetes.NATIVE_SIDECARS_NOT_CONFIRMED
            if context.effective_config
            else Kubernetes.NATIVE_SIDECARS_CONFIRMATION_NEEDED
        )
        yield template.format(version=format_version(server), count=len(nodes))


def check_node_platforms(context: CheckContext) -> Iterator[Finding]:
    """Report nodes on which redirect mode does not work, and nodes of several architectures."""
    nodes = context.cluster.nodes.value
    if windows := [read_name(node) for node in nodes if _read_info(node, "operatingSystem") == "windows"]:
        yield Kubernetes.WINDOWS_NODES.format(nodes=join_names(windows))
    if virtual := _list_labelled(nodes, *VIRTUAL_LABEL):
        yield Kubernetes.VIRTUAL_NODES.format(nodes=join_names(virtual))
    if fargate := list_fargate(nodes):
        effective = context.effective_config
        is_redirected = effective is not None and effective.config.mode == ModePolicy.REDIRECT
        template = Kubernetes.FARGATE_NODES_REDIRECTED if is_redirected else Kubernetes.FARGATE_NODES
        yield template.format(nodes=join_names(fargate))
    architectures = sorted({_read_info(node, "architecture") for node in nodes} - {""})
    if len(architectures) > 1:
        yield Kubernetes.MIXED_ARCHITECTURES.format(architectures=", ".join(architectures))


def list_fargate(nodes: Iterable[Object]) -> list[str]:
    """The names of Fargate's nodes."""
    return _list_labelled(nodes, *FARGATE_LABEL)


def _list_labelled(nodes: Iterable[Object], key: str, value: str) -> list[str]:
    return [read_name(node) for node in nodes if parse_metadata(node).labels.get(key) == value]


def _is_too_old(node: Object) -> bool:
    version = parse_version(_read_info(node, "kubeletVersion"))
    return version is not None and version < NATIVE_SIDECARS


def _read_info(node: Object, key: str) -> str:
    return str(read_mapping(read_mapping(node, "status"), "nodeInfo").get(key) or "")


def _format_node(node: Object) -> str:
    return f"{read_name(node)} ({_read_info(node, 'kubeletVersion')})"
