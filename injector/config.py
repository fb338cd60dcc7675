"""The injector's configuration: every setting, declared once."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Self

import contract
from contract.modes import CredentialSource
from contract.outside_aws import is_outside_aws
from contract.settings import (
    configuration,
    find_problems,
    format_problems,
    list_settings,
    parse_environ,
    setting,
)
from contract.value_types import BOOLEAN, ENDPOINT, METADATA_PATHS, PORT, PROXY, choice
from injector.contradictions import find_contradictions
from injector.errors import ConfigError
from injector.partitions import build_role_arn_prefix, partition_of
from injector.unknown_settings import describe_unknown, find_unknown
from injector.value_types import (
    ACCOUNT_ID,
    ADDRESS,
    AUDIENCE,
    COMMON_NAME,
    DNS_LABEL,
    DNS_SUBDOMAIN,
    IMAGE,
    OVERRIDES,
    PATH,
    REGION,
    RESOURCE_RANGE,
    REWRITES,
    ROLE_ARN_PREFIX,
    RUNTIME_CLASSES,
    SECRETS,
    URL,
    AllowedRolesFormat,
    ModePolicy,
    OverrideName,
    PodsWithoutRole,
    RedirectBackend,
    ResourceRange,
)


@configuration
class Config(NamedTuple):
    """What this injector adds to pods, and where it listens."""

    sidecar_image: str = setting(
        "PODROLE_SIDECAR_IMAGE", IMAGE, "The image of both injected containers", is_required=True
    )
    region: str = setting(
        "PODROLE_REGION",
        REGION,
        "The AWS region of STS, of the roles' partition, and of apps that set none",
        is_required=True,
    )
    image_pull_secrets: tuple[str, ...] = setting(
        "PODROLE_IMAGE_PULL_SECRETS",
        SECRETS,
        "Secrets that injected pods get as imagePullSecrets, to pull the image; they must exist in each namespace",
        default="",
    )
    image_rewrites: tuple[tuple[str, str], ...] = setting(
        "PODROLE_IMAGE_REWRITES",
        REWRITES,
        "What another webhook does to images: the prefixes that it replaces, and their replacements",
        default="",
    )
    account_id: str | None = setting(
        "PODROLE_ACCOUNT_ID",
        ACCOUNT_ID,
        "The account of roles that are given by name",
        unset="none: roles must be ARNs",
    )
    base_role_arn: str | None = setting(
        "PODROLE_BASE_ROLE_ARN",
        ROLE_ARN_PREFIX,
        "Instead of the account: the prefix of roles that are given by name",
    )
    mode: ModePolicy = setting(
        "PODROLE_MODE",
        choice(ModePolicy),
        "How pods get credentials; auto: env mode where PodSecurity, Fargate or the RuntimeClass forbids the redirect",
        default=ModePolicy.AUTO,
    )
    env_runtime_classes: tuple[str, ...] = setting(
        "PODROLE_ENV_RUNTIME_CLASSES",
        RUNTIME_CLASSES,
        "RuntimeClasses that do not apply the redirect, such as gVisor: their pods get env mode (PODROLE_MODE=auto)",
        default="",
    )
    redirect_backend: RedirectBackend = setting(
        "PODROLE_REDIRECT_BACKEND",
        choice(RedirectBackend),
        "What loads the redirect rules",
        default=RedirectBackend.NFTABLES,
    )
    pods_without_role: PodsWithoutRole = setting(
        "PODROLE_PODS_WITHOUT_ROLE",
        choice(PodsWithoutRole),
        "Whether pods without a role get no access to metadata, or are left unchanged and can get the node's role",
        default=PodsWithoutRole.BLOCK,
    )
    allow_overrides: frozenset[OverrideName] = setting(
        "PODROLE_ALLOW_OVERRIDES",
        OVERRIDES,
        "What pods can ask for although it weakens the protection of the node's role",
        default="",
    )
    metadata_passthrough_paths: tuple[str, ...] | None = setting(
        "PODROLE_METADATA_PASSTHROUGH_PATHS",
        METADATA_PATHS,
        "What pods with podrole.io/metadata-passthrough can read of the node's metadata",
        unset="the default list in docs/sources.md",
    )
    allowed_roles_format: AllowedRolesFormat = setting(
        "PODROLE_ALLOWED_ROLES_FORMAT",
        choice(AllowedRolesFormat),
        "How iam.amazonaws.com/allowed-roles is read",
        default=AllowedRolesFormat.GLOB,
    )
    credential_source: CredentialSource = setting(
        "PODROLE_CREDENTIAL_SOURCE",
        choice(CredentialSource),
        "The identity that assumes a pod's role: the pod's token, or the node's role (unsafe)",
        default=CredentialSource.WEB_IDENTITY,
    )
    audience: str = setting(
        "PODROLE_AUDIENCE",
        AUDIENCE,
        "The audience of pods' tokens, unless the ServiceAccount sets one: a client id of the IAM OIDC provider",
        default=contract.TOKEN_AUDIENCE,
    )
    node_access_requires_users: bool = setting(
        "PODROLE_NODE_ACCESS_REQUIRES_USERS",
        BOOLEAN,
        "Deny pods whose sidecar can reach the node's metadata, unless no other container can become its user",
        default="true",
    )
    sts_endpoint: str | None = setting(
        "PODROLE_STS_ENDPOINT", ENDPOINT, "An STS endpoint outside AWS or a VPC endpoint", unset="the regional endpoint"
    )
    require_sts_endpoint: bool = setting(
        "PODROLE_REQUIRE_STS_ENDPOINT",
        BOOLEAN,
        "Do not start without PODROLE_STS_ENDPOINT, so that no token of a pod goes to AWS (overlay outside-aws)",
        default="false",
        is_for_pods=False,
    )
    sts_ca: Path | None = setting(
        "PODROLE_STS_CA",
        PATH,
        "A PEM file with the only CAs that are trusted for STS; every pod gets a copy",
        unset="the CAs of the AWS SDK",
    )
    sts_proxy: str | None = setting(
        "PODROLE_STS_PROXY",
        PROXY,
        "A proxy for requests to STS only, without a password, as every pod shows it",
    )
    use_fips: bool = setting("PODROLE_USE_FIPS", BOOLEAN, "Use the region's FIPS endpoint of STS", default="false")
    use_dualstack: bool | None = setting(
        "PODROLE_USE_DUALSTACK",
        BOOLEAN,
        "Use the region's dual-stack endpoint of STS, which pods without IPv4 can reach",
        unset="`true` with PODROLE_IPV6_ONLY, unless PODROLE_STS_ENDPOINT or PODROLE_STS_PROXY is set; else `false`",
    )
    aws_endpoint_url: str | None = setting(
        "PODROLE_AWS_ENDPOINT_URL", URL, "AWS_ENDPOINT_URL of app containers that set none, for stores outside AWS"
    )
    sidecar_resources_range: ResourceRange = setting(
        "PODROLE_SIDECAR_RESOURCES_RANGE",
        RESOURCE_RANGE,
        "What requests and limits namespaces and pods can set for the sidecar (podrole.io/sidecar-resources)",
        default="cpu=1m..1,memory=32Mi..256Mi",
    )
    native_sidecars_confirmed: bool = setting(
        "PODROLE_NATIVE_SIDECARS_CONFIRMED",
        BOOLEAN,
        "Confirm that all kubelets are 1.29 or later, which an API server before 1.32 does not imply",
        default="false",
    )
    ipv6_only: bool = setting(
        "PODROLE_IPV6_ONLY", BOOLEAN, "Whether pods have no IPv4 address except for loopback", default="false"
    )
    sidecar_metrics: bool = setting(
        "PODROLE_SIDECAR_METRICS",
        BOOLEAN,
        "Serve metrics and health checks of each sidecar on port 16926 of its pod",
        default="false",
    )
    require_closed_metadata: bool = setting(
        "PODROLE_REQUIRE_CLOSED_METADATA",
        BOOLEAN,
        "In env mode, a pod does not start while the node's metadata service answers it",
        default="false",
    )
    template: Path | None = setting(
        "PODROLE_TEMPLATE", PATH, "An edited copy of injector/patch/template.yaml", unset="the built-in template"
    )
    manifests: Path | None = setting(
        "PODROLE_MANIFESTS",
        PATH,
        "A folder of manifests to read namespaces and ServiceAccounts from",
        unset="the cluster",
        is_for_pods=False,
    )
    tls_cert: Path | None = setting(
        "PODROLE_TLS_CERT",
        PATH,
        "The serving certificate in PEM format, renewed by another program; required with PODROLE_MANIFESTS",
        unset="a self-managed certificate",
        is_for_pods=False,
    )
    tls_key: Path | None = setting(
        "PODROLE_TLS_KEY", PATH, "The private key of PODROLE_TLS_CERT in PEM format", is_for_pods=False
    )
    client_ca: Path | None = setting(
        "PODROLE_CLIENT_CA",
        PATH,
        "A PEM file with CAs: clients of the webhook need a certificate of one of them",
        unset="none: any client is answered",
        is_for_pods=False,
    )
    client_name: str | None = setting(
        "PODROLE_CLIENT_NAME",
        COMMON_NAME,
        "With PODROLE_CLIENT_CA: the only common name of clients' certificates",
        unset="any",
        is_for_pods=False,
    )
    namespace: str = setting(
        "PODROLE_NAMESPACE", DNS_LABEL, "The namespace of the webhook", default="podrole-system", is_for_pods=False
    )
    service: str = setting(
        "PODROLE_SERVICE", DNS_LABEL, "The Service of the webhook", default="podrole-injector", is_for_pods=False
    )
    cluster_domain: str = setting(
        "PODROLE_CLUSTER_DOMAIN",
        DNS_SUBDOMAIN,
        "The DNS domain of the cluster, for the names in the serving certificate",
        default="cluster.local",
        is_for_pods=False,
    )
    certificate_secret: str = setting(
        "PODROLE_CERTIFICATE_SECRET",
        DNS_SUBDOMAIN,
        "The Secret with the self-managed certificates, in PODROLE_NAMESPACE",
        default="podrole-injector-certs",
        is_for_pods=False,
    )
    webhook_configuration: str = setting(
        "PODROLE_WEBHOOK_CONFIGURATION",
        DNS_SUBDOMAIN,
        "The MutatingWebhookConfiguration and the ValidatingWebhookConfiguration whose caBundle is kept up to date",
        default="podrole-injector",
        is_for_pods=False,
    )
    webhook_host: str | None = setting(
        "PODROLE_WEBHOOK_HOST", ADDRESS, "The address that the webhook listens on", unset="all", is_for_pods=False
    )
    webhook_port: int = setting(
        "PODROLE_WEBHOOK_PORT", PORT, "The webhook's port; 0: any free port", default="9443", is_for_pods=False
    )
    health_port: int = setting(
        "PODROLE_HEALTH_PORT",
        PORT,
        "The port of /healthz, /readyz and /metrics, without TLS",
        default="9080",
        is_for_pods=False,
    )

    @property
    def partition(self) -> str:
        """The partition of the region; roles of other partitions cannot be assumed."""
        return partition_of(self.region)

    @property
    def uses_dualstack(self) -> bool:
        """Whether sidecars call the dual-stack endpoint of STS: the usual one has no IPv6 address."""
        if self.use_dualstack is None:
            return self.ipv6_only and not (self.sts_endpoint or self.sts_proxy)
        return self.use_dualstack

    @property
    def is_outside_aws(self) -> bool:
        """Whether STS is not AWS's: then roles can have ARNs of other forms, and of any partition."""
        return is_outside_aws(self.sts_endpoint)

    @property
    def role_arn_prefix(self) -> str | None:
        """What a role's name is appended to. None: such a role cannot be resolved and its pod is denied."""
        if self.base_role_arn or not self.account_id:
            return self.base_role_arn
        return build_role_arn_prefix(self.region, self.account_id)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], *, with_tls: bool = False) -> Self:
        """Read the PODROLE_* variables; raise ConfigError with all problems, also of variables that are no settings.

        `with_tls`: whether the webhook needs a certificate. With manifests there is no cluster to store one in.
        """
        files = ("PODROLE_TLS_CERT", "PODROLE_TLS_KEY")
        is_half_set = len([variable for variable in files if environ.get(variable)]) == 1
        needs_files = is_half_set or (with_tls and bool(environ.get("PODROLE_MANIFESTS")))
        problems = [
            *describe_unknown(find_unknown(environ, VARIABLES), VARIABLES),
            *find_problems(cls, environ, files if needs_files else ()),
            *find_contradictions(environ),
        ]
        if problems:
            raise ConfigError(format_problems("invalid environment:", problems))
        return cls(**parse_environ(cls, environ))


VARIABLES = tuple(one.variable for one in list_settings(Config).values())
"""The names of all settings."""
