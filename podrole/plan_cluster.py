"""Reads what `podrole plan` needs from the API server, and plans it. What cannot be read becomes a finding."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from injector.errors import ClusterError, ConfigError
from injector.k8s.client import ApiClient
from injector.k8s.discovery import COLLECTIONS, NODES, PRIORITY_CLASSES, RESOURCE_LIMITS, fetch_issuer
from injector.k8s.kubeconfig import load_kubeconfig, load_namespace
from injector.k8s.objects import Object
from podrole.cluster.estate import add_collection, fetch_estate
from podrole.cluster.queries import fetch_installation
from podrole.diagnosis.installation.registration import SYSTEM_NAMESPACES
from podrole.diagnosis.state.cluster import Installation, ReadResult
from podrole.diagnosis.state.installed_config import EffectiveConfig, find_deployment
from podrole.diagnosis.state.versions import read_server_version
from podrole.diagnosis.state.webhooks import find_podrole_webhooks
from podrole.findings import Finding, format_number, limit_findings
from podrole.options import load_effective_config, load_kinds
from podrole.plan_sources import Options, add_defaults, load_trust, report_defaults, report_policies
from podrole.planning.estate import PlanEstate
from podrole.planning.findings import ClusterFinding
from podrole.planning.namespaces import Scope
from podrole.planning.plan import Plan, build_plan
from podrole.planning.pod_plans import Settings
from podrole.planning.quota_scopes import depends_on_priority_class
from podrole.planning.roles_now import Systems, find_systems, list_daemon_sets
from podrole.progress import progress_message

DAEMON_SETS = "/apis/apps/v1/daemonsets"


class ClusterRead(NamedTuple):
    """What was read of a cluster."""

    installation: Installation
    estate: PlanEstate
    namespaces: Sequence[str]
    """Empty: all."""

    daemon_sets: ReadResult[Sequence[Object] | None]
    """Of all namespaces."""

    issuer: ReadResult[str | None]


def plan_cluster(options: Options) -> Plan:
    """Plan the workloads of the cluster. Raises ClusterError and ConfigError."""
    read = _read(options)
    installation, namespaces = read.installation, read.namespaces
    effective, findings = _load_settings(options, read)
    trust = load_trust(options, options["issuer"] or read.issuer.value)
    webhooks = installation.webhooks.value
    own = next(iter(find_podrole_webhooks(webhooks)), None)
    left_out = frozenset() if namespaces else frozenset({*SYSTEM_NAMESPACES, find_deployment(webhooks).namespace})
    scope = Scope(namespaces, left_out, own.namespace_selector if own else None)
    settings = Settings(
        effective.config,
        effective.template,
        read_server_version(installation.version.value),
        _find_systems(read),
        trust,
        is_account_known=not any(one.code == ClusterFinding.SETTINGS_UNKNOWN.code for one in findings),
    )
    findings += [*_report_gaps(read), *_report_scope(scope), *report_policies(trust)]
    with progress_message(f"planning {format_number(len(read.estate.workloads), 'workload')}"):
        return build_plan(read.estate, settings, scope, findings)


def _read(options: Options) -> ClusterRead:
    kubeconfig, context, is_for_all = options["kubeconfig"], options["context"], options["is_for_all"]
    estate = PlanEstate(kinds=load_kinds(options), is_complete=True)
    with ApiClient(load_kubeconfig(kubeconfig, context)) as client:
        installation = fetch_installation(client)
        namespaces = () if is_for_all else options["namespaces"] or (load_namespace(kubeconfig, context),)
        collections = (*COLLECTIONS, *RESOURCE_LIMITS, *((NODES,) if is_for_all else ()))
        fetch_estate(client, estate.kinds, namespaces, collections, estate)
        if any(map(depends_on_priority_class, chain.from_iterable(estate.quotas.values()))):
            add_collection(client, estate, PRIORITY_CLASSES)  # few may list them, and few plans need them
        return ClusterRead(
            installation,
            estate,
            namespaces,
            _fetch_daemon_sets(client, estate, is_for_all=is_for_all),
            ReadResult(None) if options["issuer"] or not options["policies"] else _fetch_issuer(client),
        )


def _fetch_daemon_sets(
    client: ApiClient, estate: PlanEstate, *, is_for_all: bool
) -> ReadResult[Sequence[Object] | None]:
    """Node agents are in another namespace than those that are planned."""
    try:
        if is_for_all:
            return ReadResult(list_daemon_sets(estate) if estate.is_known_to_miss("DaemonSet") else None)
        with progress_message("looking for kube2iam and Kiam"):
            return ReadResult(client.list(DAEMON_SETS))
    except ClusterError as error:
        return ReadResult(None, str(error))


def _fetch_issuer(client: ApiClient) -> ReadResult[str | None]:
    try:
        with progress_message("reading the cluster's issuer"):
            return ReadResult(fetch_issuer(client))
    except ClusterError as error:
        return ReadResult(None, str(error))


def _find_systems(read: ClusterRead) -> Systems:
    webhooks = read.installation.webhooks
    return find_systems(read.daemon_sets.value, None if webhooks.error else webhooks.value)


def _load_settings(options: Options, read: ClusterRead) -> tuple[EffectiveConfig, list[Finding]]:
    """Load the installed webhook's settings; where they cannot be used, the default ones, and say why."""
    installation, deployed = read.installation, read.installation.deployed_env
    findings: list[Finding] = []
    try:
        effective = load_effective_config(add_defaults(options, deployed, read.estate, _find_systems(read)), deployed)
    except ConfigError as error:
        if deployed is None:
            raise
        findings.append(ClusterFinding.SETTINGS_UNKNOWN.format(why=str(error).partition("\n\n")[0]))
        deployed = None
        effective = load_effective_config(add_defaults(options, None, read.estate, _find_systems(read)))
    if installation.deployment.error:
        findings.append(ClusterFinding.SETTINGS_UNKNOWN.format(why=installation.deployment.error))
    elif not findings:
        findings += report_defaults(options, deployed, effective.config)
    if effective.is_template_shipped:
        findings.append(ClusterFinding.SETTINGS_UNKNOWN.format(why="its edited template could not be read"))
    return effective, findings


def _report_gaps(read: ClusterRead) -> Iterator[Finding]:
    unread = read.estate.unread
    yield from limit_findings(
        ClusterFinding.KIND_UNREADABLE.format(kind=one.kind, why=one.error, remedy=one.remedy) for one in unread
    )
    if read.daemon_sets.error:
        yield ClusterFinding.AGENTS_UNKNOWN.format(why=read.daemon_sets.error)
    if read.issuer.error:
        yield ClusterFinding.ISSUER_UNKNOWN.format(why=read.issuer.error)
    if read.installation.webhooks.error:
        yield ClusterFinding.WEBHOOKS_UNKNOWN.format(why=read.installation.webhooks.error)


def _report_scope(scope: Scope) -> Iterator[Finding]:
    if scope.left_out:
        yield ClusterFinding.SYSTEM_NAMESPACES.format(namespaces=", ".join(sorted(scope.left_out)))
    else:
        yield ClusterFinding.NODES_NOT_CHECKED.format()
