"""Checks that the guard's ValidatingAdmissionPolicies are in effect: they refuse what no webhook sees."""

from collections.abc import Iterator

from injector.k8s.objects import read_list, read_mapping
from injector.k8s.version import format_version
from podrole.diagnosis.installation.findings import Guard
from podrole.diagnosis.state.cluster import Installation
from podrole.diagnosis.state.versions import read_server_version
from podrole.findings import Finding

POLICIES = ("podrole-pods", "podrole-updates", "podrole-ephemeral-containers", "podrole-injector")
"""Those of kustomize/base/guard."""

FIRST_VERSION = (1, 30)
"""https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/"""


def check_guard(installation: Installation) -> Iterator[Finding]:
    """Check that each policy has a binding that denies; nothing where podrole is not installed."""
    if installation.deployment.value is None:
        return
    version = read_server_version(installation.version.value)
    if version is not None and version < FIRST_VERSION:
        yield Guard.GUARD_NOT_SUPPORTED.format(version=format_version(version))
        return
    specs = [read_mapping(binding, "spec") for binding in installation.policy_bindings.value]
    bound = {spec.get("policyName") for spec in specs if "Deny" in read_list(spec, "validationActions")}
    if missing := [policy for policy in POLICIES if policy not in bound]:
        yield Guard.GUARD_MISSING.format(policies=", ".join(missing))
    else:
        yield Guard.GUARD_IN_EFFECT.format(count=len(POLICIES))
