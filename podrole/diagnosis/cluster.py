"""All checks of a cluster, as a table, and the findings that come out of a snapshot."""

from collections.abc import Mapping

from injector.errors import ConfigError
from podrole.diagnosis.check_context import Check, Scene
from podrole.diagnosis.dry_run import find_dry_runs
from podrole.diagnosis.installed_config import build_setup, read_settings
from podrole.diagnosis.namespaces import find_labels, find_modes, find_room
from podrole.diagnosis.nodes import find_kinds, find_kubelets, find_server
from podrole.diagnosis.other_injectors import find_agents, find_irsa, find_webhooks
from podrole.diagnosis.registration import find_authorities, find_certificate, find_endpoints, find_registration
from podrole.diagnosis.risky_settings import find_dangers
from podrole.diagnosis.snapshot import Snapshot
from podrole.findings import Finding, Level, Section

KUBERNETES = "Kubernetes"
NEIGHBOURS = "Who else changes pods, or answers for AWS"
NAMESPACES = "Labelled namespaces"
WEBHOOK = "The webhook"
CONFIGURATION = "The webhook's configuration"

CHECKS = (
    Check(KUBERNETES, "whether the API server knows native sidecars", ("version",), find_server),
    Check(KUBERNETES, "whether all kubelets know native sidecars", ("nodes", "version"), find_kubelets),
    Check(KUBERNETES, "which kinds of nodes there are", ("nodes",), find_kinds),
    Check(NEIGHBOURS, "which webhooks change pods", ("webhooks",), find_webhooks),
    Check(
        NEIGHBOURS,
        "whether IRSA's webhook looks after the same pods",
        ("webhooks", "namespaces", "service-accounts"),
        find_irsa,
    ),
    Check(NEIGHBOURS, "whether node agents hand out AWS roles", ("daemon-sets",), find_agents),
    Check(NAMESPACES, "which namespaces are labelled", ("namespaces",), find_labels),
    Check(NAMESPACES, "which mode their pods get", ("namespaces",), find_modes),
    Check(
        NAMESPACES,
        "whether quotas leave room for podrole's containers",
        ("namespaces", "limit-ranges", "resource-quotas"),
        find_room,
    ),
    Check(WEBHOOK, "whether it is registered", ("webhooks", "deployment"), find_registration),
    Check(WEBHOOK, "whether the API server trusts it", ("webhooks",), find_authorities),
    Check(WEBHOOK, "whether its certificate is trusted", ("webhooks", "certificate"), find_certificate),
    Check(WEBHOOK, "whether a pod of it is ready", ("webhooks", "service", "endpoint-slices"), find_endpoints),
    Check(WEBHOOK, "whether it answers", ("dry-runs",), find_dry_runs),
    Check(CONFIGURATION, "whether it opens the wall", ("deployment", "config-maps"), find_dangers),
)


def diagnose_cluster(snapshot: Snapshot, environ: Mapping[str, str], now: float) -> list[Section]:
    """Find everything about a cluster; `environ` is the caller's, `now` in seconds since the epoch."""
    scene = build_scene(snapshot, environ, now)
    titles = dict.fromkeys(check.title for check in CHECKS)
    return [
        Section(title, tuple(finding for check in CHECKS if check.title == title for finding in _make(check, scene)))
        for title in titles
    ]


def build_scene(snapshot: Snapshot, environ: Mapping[str, str], now: float) -> Scene:
    """Take the webhook's configuration out of what was read."""
    deployment = snapshot.one("deployment")
    settings = None if deployment is None else read_settings(deployment, snapshot.all("config-maps"))
    try:
        return Scene(snapshot, now, settings, build_setup(settings, environ))
    except ConfigError as error:
        return Scene(snapshot, now, settings, problem=str(error))


def _make(check: Check, scene: Scene) -> list[Finding]:
    missing = [scene.snapshot.unread[need] for need in check.needs if need in scene.snapshot.unread]
    if missing:
        return [Finding(Level.UNKNOWN, "Unread", f"It is not known {check.subject}: {'; '.join(missing)}.", "")]
    return [*check.find(scene)]
