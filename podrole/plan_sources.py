"""Loads what `podrole plan` needs, settings and an estate, from options, manifests or the live cluster."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from injector.errors import ClusterError, ConfigError
from injector.k8s.objects import Object, parse_metadata
from injector.metadata_keys import IRSA_ROLE, ROLE
from podrole.diagnosis.cluster_state import Installation
from podrole.diagnosis.installed_config import DeployedEnv, EffectiveConfig, find_deployment
from podrole.diagnosis.registration import SYSTEM_NAMESPACES
from podrole.diagnosis.versions import read_server_version
from podrole.diagnosis.webhooks import find_podrole_webhooks
from podrole.findings import Finding
from podrole.iam.admission import find_region
from podrole.manifest_estate import add_manifests
from podrole.options import load_effective_config, load_kinds
from podrole.planning.estate import PlanEstate
from podrole.planning.findings import ClusterFinding
from podrole.planning.plan import Plan, Scope, build_plan
from podrole.planning.pod_plans import Settings
from podrole.planning.roles_now import Systems, find_systems, list_daemon_sets
from podrole.progress import progress_message

IMAGE, REGION = "PODROLE_SIDECAR_IMAGE", "PODROLE_REGION"
ANY_IMAGE = "podrole-sidecar"
"""Of a plan without an installation: no decision depends on it."""

Options = Mapping[str, Any]


def plan_manifests(options: Options) -> Plan:
    """Plan the workloads of manifests, without a cluster. Raises ConfigError."""
    estate = PlanEstate(kinds=load_kinds(options))
    default = next(iter(options["namespaces"]), "default")
    with progress_message("reading the manifests"):
        add_manifests(estate, options["filenames"], default, recursive=options["recursive"])
    effective = load_effective_config(_add_defaults(options, None, estate))
    systems = find_systems(list_daemon_sets(estate), None)
    # Manifests need not have the node agents.
    settings = Settings(effective.config, effective.template, None, systems if systems.agents else Systems())
    with progress_message("planning"):
        return build_plan(estate, settings, findings=[*_report_defaults(options, None, effective)])


def plan_cluster(options: Options) -> Plan:
    """Plan the workloads of the cluster. Raises ClusterError and ConfigError."""
    from injector.k8s.client import ApiClient  # noqa: PLC0415 - imports the Kubernetes client: half a second
    from injector.k8s.discovery import COLLECTIONS, NODES, RESOURCE_LIMITS  # noqa: PLC0415 - likewise
    from injector.k8s.kubeconfig import load_kubeconfig, load_namespace  # noqa: PLC0415 - likewise
    from podrole.cluster_estate import read_cluster  # noqa: PLC0415 - likewise
    from podrole.queries import fetch_installation  # noqa: PLC0415 - likewise

    kubeconfig, context = options["kubeconfig"], options["context"]
    with ExitStack() as stack:
        client = stack.enter_context(ApiClient(load_kubeconfig(kubeconfig, context)))
        installation = fetch_installation(client)
        is_for_all = options["is_for_all"]
        namespaces = () if is_for_all else options["namespaces"] or (load_namespace(kubeconfig, context),)
        collections = (*COLLECTIONS, *RESOURCE_LIMITS, *((NODES,) if is_for_all else ()))
        estate = PlanEstate(kinds=load_kinds(options), is_complete=True)
        read_cluster(client, estate.kinds, namespaces, collections, estate)
        agents = list_daemon_sets(estate) if is_for_all else _list_agents(client)
    return _plan(options, installation, estate, namespaces, agents)


def _list_agents(client: Any) -> list[Object] | ClusterError:
    """Node agents are in another namespace than those that are planned."""
    try:
        with progress_message("looking for kube2iam and Kiam"):
            return [*client.list("/apis/apps/v1/daemonsets")]
    except ClusterError as error:
        return error


def _plan(
    options: Options,
    installation: Installation,
    estate: PlanEstate,
    namespaces: Sequence[str],
    agents: list[Object] | ClusterError,
) -> Plan:
    deployed = installation.deployed_env
    findings: list[Finding] = []
    try:
        effective = load_effective_config(_add_defaults(options, deployed, estate), deployed)
    except ConfigError as error:
        if deployed is None:
            raise
        findings.append(ClusterFinding.SETTINGS_UNKNOWN.format(why=str(error).partition("\n\n")[0]))
        effective = load_effective_config(_add_defaults(options, None, estate))
    findings += [*_report_settings(installation, options, effective), *_report_gaps(estate, agents)]
    webhooks = None if installation.webhooks.error else installation.webhooks.value
    systems = find_systems(None if isinstance(agents, ClusterError) else agents, webhooks)
    settings = Settings(effective.config, effective.template, read_server_version(installation.version.value), systems)
    left_out = (
        frozenset() if namespaces else {*SYSTEM_NAMESPACES, find_deployment(installation.webhooks.value).namespace}
    )
    own = next(iter(find_podrole_webhooks(installation.webhooks.value)), None)
    scope = Scope(namespaces, frozenset(left_out), own.namespace_selector if own else None)
    if not namespaces:
        findings.append(ClusterFinding.SYSTEM_NAMESPACES.format(namespaces=", ".join(sorted(left_out))))
    else:
        findings.append(ClusterFinding.NODES_NOT_CHECKED.format())
    with progress_message(f"planning {len(estate.workloads)} workloads"):
        return build_plan(estate, settings, scope, findings)


def _report_gaps(estate: PlanEstate, agents: list[Object] | ClusterError) -> Iterator[Finding]:
    yield from (ClusterFinding.KIND_UNREADABLE.format(kind=one.kind, why=one.error) for one in estate.unread)
    if isinstance(agents, ClusterError):
        yield ClusterFinding.AGENTS_UNKNOWN.format(why=agents)


def _report_settings(installation: Installation, options: Options, effective: EffectiveConfig) -> Iterator[Finding]:
    deployed = installation.deployed_env
    if deployed is None and installation.deployment.error:
        yield ClusterFinding.SETTINGS_UNKNOWN.format(why=installation.deployment.error)
    else:
        yield from _report_defaults(options, deployed, effective)
    if effective.is_template_shipped:
        yield ClusterFinding.SETTINGS_UNKNOWN.format(why="its edited template could not be read")


def _report_defaults(options: Options, deployed: DeployedEnv | None, effective: EffectiveConfig) -> Iterator[Finding]:
    if deployed is None and not options[REGION]:
        yield ClusterFinding.NOT_INSTALLED.format(region=effective.config.region)
    elif deployed is not None and deployed.gaps:
        yield ClusterFinding.SETTINGS_UNKNOWN.format(why=f"{', '.join(deployed.gaps)} could not be read")


def _add_defaults(options: Options, deployed: DeployedEnv | None, estate: PlanEstate) -> Options:
    """Choose what a webhook must have and what is not set: of a region, only its partition matters."""
    known = deployed.environ if deployed else {}
    added = dict(options)
    if not options[IMAGE] and IMAGE not in known:
        added[IMAGE] = ANY_IMAGE
    if not options[REGION] and REGION not in known:
        added[REGION] = find_region(next(_list_roles(estate), ""))
    return added


def _list_roles(estate: PlanEstate) -> Iterator[str]:
    """The ARNs in annotations."""
    found = [one.annotations for one in estate.accounts.values()]
    found += [parse_metadata(one.template.pod).annotations for one in estate.workloads]
    roles = (annotations.get(key, "") for annotations in found for key in (ROLE, IRSA_ROLE))
    return (role for role in roles if role.startswith("arn:"))
