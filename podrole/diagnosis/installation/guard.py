"""Checks that the guard's ValidatingAdmissionPolicies are in effect: they refuse what no webhook sees."""

from collections.abc import Iterator

import contract
from injector.certs.registration import EXPECTATIONS, ServiceName
from injector.k8s.objects import Object, read_list, read_mapping, read_name
from injector.k8s.version import format_version
from podrole.diagnosis.installation.findings import Guard
from podrole.diagnosis.installation.guard_drift import EXPECTED, find_changed_fields, find_changed_settings
from podrole.diagnosis.state.cluster import Installation
from podrole.diagnosis.state.installed_config import find_deployment
from podrole.diagnosis.state.versions import read_server_version
from podrole.findings import Finding

POLICIES = ("podrole-pods", "podrole-updates", "podrole-ephemeral-containers", "podrole-injector")
"""Those of kustomize/base/guard. A component adds the others of `EXPECTED`."""

FIRST_VERSION = (1, 30)
"""https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/"""

NARROWING = ("namespaceSelector", "objectSelector", "resourceRules", "excludeResourceRules")


def check_guard(installation: Installation) -> Iterator[Finding]:
    """Check that each policy is as in the manifests and has a binding that denies; nothing without podrole."""
    if installation.deployment.value is None:
        return
    version = read_server_version(installation.version.value)
    if version is not None and version < FIRST_VERSION:
        yield Guard.GUARD_NOT_SUPPORTED.format(version=format_version(version))
        return
    policies = {_read_name(one): one for one in installation.policies.value if _read_name(one) in EXPECTED}
    bindings = [one for one in installation.policy_bindings.value if _denies(one)]
    bound = {str(read_mapping(one, "spec").get("policyName")) for one in bindings} & policies.keys()
    findings = [
        *(_find_changes(name, policies[name], installation) for name in sorted(policies)),
        *(_find_narrowed(name, bindings) for name in sorted(bound)),
    ]
    concerns = [one for found in findings for one in found]
    if missing := [name for name in (*POLICIES, *policies) if name not in bound]:
        concerns.insert(0, Guard.GUARD_MISSING.format(policies=", ".join(dict.fromkeys(missing))))
    yield from concerns or [Guard.GUARD_IN_EFFECT.format(count=len(bound))]


def _find_changes(name: str, policy: Object, installation: Installation) -> Iterator[Finding]:
    service = ServiceName(*find_deployment(installation.webhooks.value))
    if fields := find_changed_fields(policy, name, service):
        yield Guard.POLICY_CHANGED.format(policy=name, fields=", ".join(fields), version=contract.VERSION)
    deployed_env = installation.deployed_env
    if deployed_env is not None and not deployed_env.gaps:
        for one in find_changed_settings(policy, deployed_env.environ):
            yield Guard.POLICY_SETTING_DIFFERS.format(policy=name, setting=one.setting, **one._asdict())


def _find_narrowed(name: str, bindings: list[Object]) -> Iterator[Finding]:
    """Report a policy without a binding for all requests."""
    own = [one for one in bindings if read_mapping(one, "spec").get("policyName") == name]
    if all(map(_is_narrowed, own)):
        yield Guard.BINDING_NARROWED.format(policy=name, bindings=", ".join(map(_read_name, own)))


def _is_narrowed(binding: Object) -> bool:
    resources = read_mapping(read_mapping(binding, "spec"), "matchResources")
    is_empty = EXPECTATIONS["objectSelector"]
    return not all(is_empty(resources.get(key), ServiceName("", "")) for key in NARROWING[:2]) or any(
        resources.get(key) for key in NARROWING[2:]
    )


def _denies(binding: Object) -> bool:
    return "Deny" in read_list(read_mapping(binding, "spec"), "validationActions")


def _read_name(thing: Object) -> str:
    return read_name(read_mapping(thing, "metadata"))
