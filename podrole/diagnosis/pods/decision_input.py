"""What a decision about a new pod depends on, besides the pod: read once for all pods of a namespace."""

from collections.abc import Mapping
from typing import NamedTuple

from injector.decision.context import ClusterContext
from injector.decision.decide import decide
from injector.decision.outcomes import Deny, Inject
from injector.errors import ConfigError
from injector.k8s.objects import EMPTY_METADATA, Metadata, Object, read_service_account_name
from injector.k8s.version import Version
from injector.metadata_keys import INJECTION_ENABLED, INJECTION_LABEL
from podrole.diagnosis.pods.findings import ExpectedState
from podrole.diagnosis.state.cluster import Installation
from podrole.diagnosis.state.installed_config import EffectiveConfig, build_effective_config, find_deployment
from podrole.findings import Finding


class DecisionInput(NamedTuple):
    """A namespace, its ServiceAccounts, and the installed webhook."""

    effective_config: EffectiveConfig
    namespace: Metadata | None
    accounts: Mapping[str, Metadata | None]
    """By name."""

    version: Version | None

    def find_context(self, pod: Object) -> ClusterContext:
        """The cluster context of a pod."""
        return ClusterContext(self.namespace, self.accounts.get(read_service_account_name(pod)), self.version)

    def would_have_role(self, pod: Object) -> bool:
        """Whether a pod would get a role, or be denied, if the namespace had podrole's label."""
        namespace = self.namespace or EMPTY_METADATA
        labelled = namespace._replace(labels={**namespace.labels, INJECTION_LABEL: INJECTION_ENABLED})
        decision = decide(pod, self.find_context(pod)._replace(namespace=labelled), self.effective_config.config)
        return isinstance(decision, Inject | Deny)


class Settings(NamedTuple):
    """The webhook's configuration, and what could not be read of it."""

    effective_config: EffectiveConfig | None
    findings: tuple[Finding, ...] = ()


def load_settings(installation: Installation, environ: Mapping[str, str]) -> Settings:
    """Load the installed webhook's configuration; `environ` is the caller's."""
    findings: tuple[Finding, ...] = ()
    deployed_env = installation.deployed_env
    if deployed_env and deployed_env.gaps:
        findings = (ExpectedState.SETTINGS_NOT_READ.format(gaps=", ".join(deployed_env.gaps)),)
    try:
        return Settings(build_effective_config(deployed_env, environ), findings)
    except ConfigError as error:
        problem = _join([*_list_unread_settings(installation), str(error)])
        return Settings(None, (*findings, ExpectedState.SETTINGS_UNKNOWN.format(problem=problem)))


def _list_unread_settings(installation: Installation) -> list[str]:
    errors = [result.error for result in (installation.deployment, installation.config_maps) if result.error]
    if errors or installation.deployment.value is not None:
        return errors
    where = find_deployment(installation.webhooks.value)
    return ["Deployment {}/{} with the webhook's configuration does not exist".format(*where)]


def _join(problems: list[str]) -> str:
    return "; ".join(" ".join(problem.split()) for problem in problems)
