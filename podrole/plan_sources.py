"""Builds a plan from an estate and options: the webhook's settings, trust policies, and the plan of manifests."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from injector.config import Config
from injector.errors import ObjectError
from injector.k8s.objects import parse_metadata
from injector.metadata_keys import IRSA_ROLE, ROLE
from injector.partitions import KNOWN_REGIONS, partition_of
from injector.value_types import AWS_ROLE_ARN_PREFIX
from podrole.diagnosis.state.installed_config import DeployedEnv
from podrole.findings import Finding, limit_findings
from podrole.iam.policies import parse_issuer
from podrole.manifests.estate import add_manifests
from podrole.options import load_effective_config, load_kinds
from podrole.planning.estate import PlanEstate
from podrole.planning.findings import ClusterFinding
from podrole.planning.plan import Plan, build_plan
from podrole.planning.pod_plans import NO_SYSTEMS, Settings
from podrole.planning.roles_now import Systems, find_systems, list_daemon_sets
from podrole.planning.trust import KnownTrust
from podrole.progress import progress_message
from podrole.trust.existing_policies import load_policy_directory

IMAGE, REGION = "PODROLE_SIDECAR_IMAGE", "PODROLE_REGION"
ACCOUNT_ID, BASE_ROLE_ARN = "PODROLE_ACCOUNT_ID", "PODROLE_BASE_ROLE_ARN"
ANY_IMAGE = "podrole-sidecar"
"""Of a plan without an installation: no decision depends on it."""

Options = Mapping[str, Any]


def plan_manifests(options: Options) -> Plan:
    """Plan the workloads of manifests, without a cluster. Raises ConfigError."""
    estate = PlanEstate(kinds=load_kinds(options))
    default = next(iter(options["namespaces"]), "default")
    with progress_message("reading the manifests"):
        add_manifests(estate, options["filenames"], default, recursive=options["recursive"])
    systems = find_systems(list_daemon_sets(estate), None)
    systems = systems if systems.agents else NO_SYSTEMS  # manifests need not have the node agents
    effective = load_effective_config(add_defaults(options, None, estate, systems))
    trust = load_trust(options, options["issuer"])
    findings = [*report_defaults(options, None, effective.config), *report_policies(trust)]
    with progress_message("planning"):
        return build_plan(
            estate, Settings(effective.config, effective.template, None, systems, trust), findings=findings
        )


def load_trust(options: Options, issuer: str | None) -> KnownTrust | None:
    """Load the policies of the option. `issuer`: of the cluster's tokens, None where it is not known."""
    if not options["policies"]:
        return None
    return KnownTrust(load_policy_directory(options["policies"]), parse_issuer(issuer) if issuer else None)


def report_policies(trust: KnownTrust | None) -> list[Finding]:
    """Report files of policies that cannot be read."""
    problems = trust.policies.problems if trust else ()
    return limit_findings(ClusterFinding.POLICIES_UNREADABLE.format(problem=one) for one in problems)


def report_defaults(options: Options, deployed: DeployedEnv | None, config: Config) -> Iterator[Finding]:
    """Report settings that were not found in the installation."""
    if deployed is None and not (options[REGION] and _names_account(options)):
        prefix = config.role_arn_prefix
        names = f"are those of {prefix}" if prefix else "are denied, as they have no account"
        yield ClusterFinding.NOT_INSTALLED.format(region=config.region, names=names)
    elif deployed is not None and deployed.gaps:
        yield ClusterFinding.SETTINGS_UNKNOWN.format(why=f"{', '.join(deployed.gaps)} could not be read")


def _names_account(options: Options) -> bool:
    return bool(options[ACCOUNT_ID] or options[BASE_ROLE_ARN])


def add_defaults(
    options: Options, deployed: DeployedEnv | None, estate: PlanEstate, systems: Systems = NO_SYSTEMS
) -> Options:
    """Choose what a webhook must have and what is not set: of a region, only its partition matters.

    Without an installation, names of roles mean what they mean to kube2iam and Kiam.
    """
    known = deployed.environ if deployed else {}
    added = dict(options)
    if not options[IMAGE] and IMAGE not in known:
        added[IMAGE] = ANY_IMAGE
    if not options[REGION] and REGION not in known:
        added[REGION] = _choose_region(next(_list_roles(estate), systems.base_role_arn))
    if deployed is None and not _names_account(options) and AWS_ROLE_ARN_PREFIX.accepts(systems.base_role_arn):
        added[BASE_ROLE_ARN] = systems.base_role_arn
    return added


def _choose_region(role: str) -> str:
    """Choose a region in the partition of an ARN."""
    partition = role.split(":")[1] if role.startswith("arn:") else ""
    return next((one for one in KNOWN_REGIONS if partition_of(one) == partition), KNOWN_REGIONS[0])


def _list_roles(estate: PlanEstate) -> Iterator[str]:
    """The ARNs in annotations."""
    for account in estate.accounts.values():
        yield from _pick(account.annotations)
    for one in estate.workloads:
        with suppress(ObjectError):  # a finding of its row
            yield from _pick(parse_metadata(one.template.pod).annotations)


def _pick(annotations: Mapping[str, str]) -> Iterator[str]:
    yield from (annotations[key] for key in (ROLE, IRSA_ROLE) if annotations.get(key, "").startswith("arn:"))
