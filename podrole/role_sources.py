"""Loads what `trust-policy` needs, the issuer and the use of roles, from options, manifests or the live cluster."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import contract
from injector.config import Config
from injector.errors import ClusterError, ConfigError
from injector.k8s.workload_kinds import Kinds, add_paths
from injector.metadata_keys import AUDIENCE
from podrole.diagnosis.installed_config import build_effective_config
from podrole.estate.objects import Estate
from podrole.findings import Finding, limit_findings
from podrole.iam.admission import Account, Selection
from podrole.iam.policies import build_subject
from podrole.iam.usage import RoleUsage, find_usage
from podrole.iam.usage_findings import UsageFinding
from podrole.manifest_estate import read_manifests
from podrole.progress import progress_message


@dataclass
class RoleUsageLoader:
    """Loads each thing at most once, and connects to the cluster only if it must."""

    options: Mapping[str, Any]
    account: Account
    stack: ExitStack
    settings_findings: list[Finding] = field(default_factory=list)
    """Why the settings of the installed webhook are not known."""

    audience_findings: list[Finding] = field(default_factory=list)

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

    @cached_property
    def usage(self) -> RoleUsage:
        """Which ServiceAccounts use which role: in the given manifests, else in the live cluster."""
        account = self.account
        if self.options["filenames"]:
            estate = read_manifests(self.options["filenames"], self._kinds, recursive=self.options["recursive"])
        else:
            account = replace(account, installed=self._installed)
            estate = self._read_cluster()
        selection = Selection(self.options["include_unlabelled"], self.options["require_allow_list"])
        return find_usage(estate, account, selection)

    @property
    def subjects(self) -> list[str]:
        """The subjects that the user named."""
        return [build_subject(self.options["namespace"], account) for account in self.options["service_accounts"]]

    @cached_property
    def audiences(self) -> Mapping[str, str]:
        """The audiences of the tokens of these subjects: the option's, else those of the cluster, where it is read."""
        names = self.options["service_accounts"]
        return {subject: self._find_audience(subject, name) for subject, name in zip(self.subjects, names, strict=True)}

    def _find_audience(self, subject: str, name: str) -> str:
        default = self.account.audience or contract.TOKEN_AUDIENCE
        needs_cluster = self.options["is_live"] or not (self.options["issuer"] or self.options["check_file"])
        if self.account.audience or not needs_cluster:
            return default
        from podrole.context_lookup import ClusterMetadata  # noqa: PLC0415 - as below

        default = self._installed.audience if self._installed else default
        try:
            is_one = "*" not in self.options["namespace"] + name
            account = ClusterMetadata(self._client).service_account(self.options["namespace"], name) if is_one else None
        except ClusterError as error:
            found = UsageFinding.AUDIENCE_UNKNOWN.format(subject=subject, why=error, audience=default)
            self.audience_findings.append(found)
            return default
        return (account.annotations.get(AUDIENCE) if account else None) or default

    def list_findings(self, role_arn: str | None = None) -> list[Finding]:
        """The findings about the accounts that use a role, or any role; where the user named them, their audiences."""
        if self.subjects:
            return limit_findings(self.audience_findings)
        return limit_findings([*self.usage.list_findings(role_arn), *self.settings_findings])

    @cached_property
    def _installed(self) -> Config | None:
        from podrole.queries import fetch_installation  # noqa: PLC0415 - as below

        installation = fetch_installation(self._client)
        deployed = installation.deployed_env
        if deployed is None:
            self._report_unknown_settings(installation.deployment.error or "podrole is not installed")
            return None
        if deployed.gaps:
            self._report_unknown_settings(f"{', '.join(deployed.gaps)} could not be read")
        try:
            return build_effective_config(deployed, {}).config
        except ConfigError as error:
            self._report_unknown_settings(str(error))
            return None

    def _report_unknown_settings(self, why: str) -> None:
        self.settings_findings.append(UsageFinding.SETTINGS_UNKNOWN.format(why=why))

    def _read_cluster(self) -> Estate:
        from podrole.cluster_estate import read_cluster  # noqa: PLC0415 - as below

        estate = read_cluster(self._client, self._kinds)
        for kind, error, is_custom in estate.unread:
            if not is_custom:
                raise error
            self.settings_findings.append(UsageFinding.KIND_UNREADABLE.format(kind=kind, why=error))
        return estate

    @cached_property
    def _kinds(self) -> Kinds:
        return add_paths(self.options["pod_template_paths"])

    @cached_property
    def _client(self) -> Any:
        from injector.k8s.client import ApiClient  # noqa: PLC0415 - imports the Kubernetes client: half a second
        from injector.k8s.kubeconfig import load_kubeconfig  # noqa: PLC0415 - likewise

        return self.stack.enter_context(ApiClient(load_kubeconfig(self.options["kubeconfig"], self.options["context"])))
