"""Loads what `trust-policy` needs, the issuer and the use of roles, from options, manifests or the live cluster."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import contract
from injector.config import Config
from injector.errors import ApiError, ClusterError, ConfigError, ObjectError
from injector.k8s.objects import Metadata
from injector.k8s.version import Version, read_version
from injector.k8s.workload_kinds import Kinds, add_paths
from injector.metadata_keys import AUDIENCE
from injector.reasons import InvalidRoleError, Reason
from podrole.diagnosis.state.installed_config import build_effective_config
from podrole.estate.objects import Estate
from podrole.findings import Finding
from podrole.iam.admission import Account, Selection
from podrole.iam.named import WILDCARD, NamedAccount, build_unchecked, find_named_usage
from podrole.iam.usage import RoleUsage, find_usage
from podrole.iam.usage_findings import UsageFinding
from podrole.manifests.estate import load_estate
from podrole.progress import progress_message

NOTHING = Estate()


@dataclass
class RoleUsageLoader:
    """Loads each thing at most once, and connects to the cluster only if it must."""

    options: Mapping[str, Any]
    given: Account
    """The account and the settings of the options."""

    stack: ExitStack
    settings_findings: list[Finding] = field(default_factory=list)
    """Why the settings of the installed webhook are not known, and kinds that could not be read."""

    @property
    def has_cluster(self) -> bool:
        """Whether the command reads the cluster; then the installed webhook's settings count, as for `check`."""
        if self.options["is_live"]:
            return True
        is_read = self.options["filenames"] or self.options["service_accounts"]
        return not self.options["check_file"] and not (self.options["issuer"] and is_read)

    @cached_property
    def account(self) -> Account:
        """The account and the settings with which the webhook decides."""
        if not self.has_cluster:
            return self.given
        config, version = self._installed
        return replace(self.given, installed=config, version=version)

    @cached_property
    def audience(self) -> str:
        """The audience of tokens whose ServiceAccount sets none."""
        installed = self.account.installed
        return self.given.audience or (installed.audience if installed else contract.TOKEN_AUDIENCE)

    def resolve(self, role: str) -> str:
        """Return the ARN of the role that the user named. Raises ConfigError."""
        try:
            account = self.given if role.startswith("arn:") or self.given.base_role_arn else self.account
            return account.resolve(role, "ROLE")
        except InvalidRoleError as error:
            hint = ", or set --account-id" if error.explanation.reason is Reason.ACCOUNT_NOT_CONFIGURED else ""
            raise ConfigError(f"{error}{hint}") from error

    @cached_property
    def issuer_url(self) -> str:
        """The issuer's URL: from the option, else from the live cluster."""
        if given := self.options["issuer"]:
            return str(given)
        from injector.k8s.discovery import fetch_issuer  # noqa: PLC0415 - as below

        try:
            with progress_message("reading the cluster's issuer"):
                return fetch_issuer(self._client)
        except ClusterError as error:
            raise ClusterError(f"{error}. Without a cluster, give the issuer of its tokens with --issuer") from error

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Those of --namespace; none: all."""
        return tuple(self.options["namespaces"])

    @property
    def named(self) -> list[NamedAccount]:
        """The ServiceAccounts that the user named."""
        return [NamedAccount(self.namespaces[0], name) for name in self.options["service_accounts"]]

    @cached_property
    def usage(self) -> RoleUsage:
        """Which ServiceAccounts use which role: in the given manifests, else in the live cluster."""
        account = self.account
        selection = Selection(self.options["include_unlabelled"], self.options["require_allow_list"])
        return find_usage(self._load_estate() if self.options["filenames"] else self._estate, account, selection)

    def find_named(self, role_arn: str) -> RoleUsage:
        """Which of the ServiceAccounts that the user named may use a role, as far as that can be checked."""
        if self.options["filenames"]:
            return find_named_usage(role_arn, self.named, self._load_estate(is_filtered=False), self.account)
        if not self.has_cluster:
            return self.find_unchecked(role_arn)
        estate = Estate(is_complete=True)
        try:
            self._fetch_named(estate)
        except ApiError as error:
            return self.find_unchecked(role_arn, estate, str(error))
        return find_named_usage(role_arn, self.named, estate, self.account)

    def find_unchecked(self, role_arn: str = "", estate: Estate = NOTHING, why: str = "") -> RoleUsage:
        """These ServiceAccounts as the user named them. `why` they are not checked; empty: nobody wants that."""
        return build_unchecked(role_arn, {one.subject: self._find_audience(one, estate) for one in self.named}, why)

    def _find_audience(self, named: NamedAccount, estate: Estate) -> str:
        account = estate.accounts.get((named.namespace, named.name), Metadata({}, {}))
        return self.given.audience or account.annotations.get(AUDIENCE) or self.audience

    @cached_property
    def _installed(self) -> tuple[Config | None, Version | None]:
        from podrole.cluster.queries import fetch_installation  # noqa: PLC0415 - as below

        installation = fetch_installation(self._client)
        try:
            version = read_version(installation.version.value)
        except ObjectError:
            version = None
        deployed = installation.deployed_env
        if deployed is None:
            self._report_unknown_settings(installation.deployment.error or "podrole is not installed")
            return None, version
        if deployed.gaps:
            self._report_unknown_settings(f"{', '.join(deployed.gaps)} could not be read")
        try:
            return build_effective_config(deployed, {}).config, version
        except ConfigError as error:
            self._report_unknown_settings(str(error))
            return None, version

    def _report_unknown_settings(self, why: str) -> None:
        self.settings_findings.append(UsageFinding.SETTINGS_UNKNOWN.format(why=why))

    def _load_estate(self, *, is_filtered: bool = True) -> Estate:
        estate = load_estate(self.options["filenames"], self._kinds, recursive=self.options["recursive"])
        if not (is_filtered and self.namespaces):
            return estate
        names = {*self.namespaces}
        if missing := names - estate.namespaces.keys() - {one.namespace for one in estate.workloads}:
            raise ConfigError(f"the manifests have nothing of the namespace {min(missing)}")
        return _select(estate, names)

    @cached_property
    def _estate(self) -> Estate:
        from podrole.cluster.estate import fetch_estate  # noqa: PLC0415 - as below

        estate = fetch_estate(self._client, self._kinds, self.namespaces)
        for kind, error, is_custom in estate.unread:
            if not is_custom:
                raise error
            self.settings_findings.append(UsageFinding.KIND_UNREADABLE.format(kind=kind, why=error))
        if missing := {*self.namespaces} - estate.namespaces.keys():
            raise ConfigError(f"the cluster has no namespace {min(missing)}")
        return estate

    def _fetch_named(self, estate: Estate) -> None:
        """Read the ServiceAccounts and the namespace alone, for which a user needs few permissions."""
        accounts = [f"{namespace}/serviceaccounts/{name}" for namespace, name in self.named]
        for path in (one for one in (*accounts, *self.namespaces) if WILDCARD not in one):
            with progress_message(f"reading namespaces/{path}"):
                found = self._client.get_or_none(f"/api/v1/namespaces/{path}")
            if found:
                estate.add(found)

    @cached_property
    def _kinds(self) -> Kinds:
        return add_paths(self.options["pod_template_paths"])

    @cached_property
    def _client(self) -> Any:
        from injector.k8s.client import ApiClient  # noqa: PLC0415 - imports the Kubernetes client: half a second
        from injector.k8s.kubeconfig import load_kubeconfig  # noqa: PLC0415 - likewise

        return self.stack.enter_context(ApiClient(load_kubeconfig(self.options["kubeconfig"], self.options["context"])))


def _select(estate: Estate, names: set[str]) -> Estate:
    estate.namespaces = {name: one for name, one in estate.namespaces.items() if name in names}
    estate.accounts = {key: one for key, one in estate.accounts.items() if key[0] in names}
    estate.workloads = [one for one in estate.workloads if one.namespace in names]
    estate.unknown = [one for one in estate.unknown if one[0] in names]
    return estate
