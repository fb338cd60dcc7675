"""All checks of a cluster, as a table, and the findings that come out of a snapshot."""

from collections.abc import Mapping

from injector.errors import ConfigError
from podrole.diagnosis.check_context import Check, CheckContext
from podrole.diagnosis.dry_run import find_dry_runs
from podrole.diagnosis.installed_config import build_effective_config, read_deployed_env
from podrole.diagnosis.namespaces import check_quotas, find_labels, find_modes
from podrole.diagnosis.nodes import check_node_platforms, find_kubelets, find_server
from podrole.diagnosis.other_injectors import find_agents, find_irsa, find_webhooks
from podrole.diagnosis.registration import find_authorities, find_certificate, find_endpoints, find_registration
from podrole.diagnosis.risky_settings import find_risky_settings
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
    Check(KUBERNETES, "which kinds of nodes there are", ("nodes",), check_node_platforms),
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
        check_quotas,
    ),
    Check(WEBHOOK, "whether it is registered", ("webhooks", "deployment"), find_registration),
    Check(WEBHOOK, "whether the API server trusts it", ("webhooks",), find_authorities),
    Check(WEBHOOK, "whether its certificate is trusted", ("webhooks", "certificate"), find_certificate),
    Check(WEBHOOK, "whether a pod of it is ready", ("webhooks", "service", "endpoint-slices"), find_endpoints),
    Check(WEBHOOK, "whether it answers", ("dry-runs",), find_dry_runs),
    Check(CONFIGURATION, "whether it opens the wall", ("deployment", "config-maps"), find_risky_settings),
)


def diagnose_cluster(snapshot: Snapshot, environ: Mapping[str, str], now: float) -> list[Section]:
    """Find everything about a cluster; `environ` is the caller's, `now` in seconds since the epoch."""
    context = build_check_context(snapshot, environ, now)
    titles = dict.fromkeys(check.title for check in CHECKS)
    return [
        Section(title, tuple(finding for check in CHECKS if check.title == title for finding in _make(check, context)))
        for title in titles
    ]


def build_check_context(snapshot: Snapshot, environ: Mapping[str, str], now: float) -> CheckContext:
    """Take the webhook's configuration out of what was read."""
    deployment = snapshot.one("deployment")
    settings = None if deployment is None else read_deployed_env(deployment, snapshot.all("config-maps"))
    try:
        return CheckContext(snapshot, now, settings, build_effective_config(settings, environ))
    except ConfigError as error:
        return CheckContext(snapshot, now, settings, problem=str(error))


def _make(check: Check, context: CheckContext) -> list[Finding]:
    missing = [context.snapshot.unread[need] for need in check.requires if need in context.snapshot.unread]
    if missing:
        return [Finding(Level.UNKNOWN, "Unread", f"It is not known {check.subject}: {'; '.join(missing)}.", "")]
    return [*check.find(context)]
