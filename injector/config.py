"""The injector's configuration: one frozen value from an environment. Nothing is read from anywhere else."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from injector.env_vars import REQUIRED, REQUIRED_FOR_TLS, find_problems
from injector.errors import ConfigError
from injector.partitions import partition_of


@dataclass(frozen=True, slots=True)
class Config:
    """What this injector adds to pods, and where it listens."""

    sidecar_image: str
    region: str
    base_role_arn: str | None = None
    """Stands before a role that is given by name. None: such a role cannot be resolved and its pod is denied."""

    credential_source: str = "web-identity"
    """Who asks STS for a pod's role: `web-identity`, the pod itself, or `node`, the node's role, which is unsafe."""

    sts_endpoint: str | None = None
    """None: the regional endpoint of AWS."""

    sts_ca: Path | None = None
    """The authorities that STS is verified by, PEM. None: the usual ones."""

    sts_proxy: str | None = None
    """For STS alone, and without a password: every pod shows it."""

    use_fips: bool = False
    aws_endpoint_url: str | None = None
    """For stores outside AWS: the AWS_ENDPOINT_URL of app containers that set none."""

    redirect_backend: str = "nftables"
    pods_without_role: str = "block"
    """What becomes of a pod for which no role is named: `block` or `ignore`."""

    mode: str = "auto"
    """`auto`: env where PodSecurity forbids the redirect, redirect elsewhere. Or one of the two, everywhere."""

    allow_overrides: frozenset[str] = frozenset()
    """What pods may ask for although it opens the wall around the node's role, see `annotations.OVERRIDES`."""

    allowed_roles_format: str = "glob"
    """How the patterns of iam.amazonaws.com/allowed-roles are read: `glob` or `regexp`, as kube2iam has it."""

    native_sidecars_confirmed: bool = False
    """Whether the operator says that all kubelets know native sidecars, which a server below 1.32 cannot vouch for."""

    ipv6_only: bool = False
    """Whether pods have no IPv4 but on loopback: then nothing may depend on 169.254.170.2."""

    sidecar_metrics: bool = False
    """Whether each sidecar shows its metrics on a port of the pod."""

    manifests: Path | None = None
    """A folder of manifests to read namespaces and ServiceAccounts from. None: the live cluster."""

    template: Path | None = None
    """An edited template. None: the one beside this module."""

    tls_cert: Path | None = None
    tls_key: Path | None = None
    """Read, and never written. None: the webhook takes care of its certificates itself."""

    namespace: str = "podrole-system"
    service: str = "podrole-injector"
    cluster_domain: str = "cluster.local"
    """What the names in a certificate are made of."""

    certificate_secret: str = "podrole-injector-certs"  # noqa: S105 - the name of a Secret
    webhook_configuration: str = "podrole-injector"
    webhook_host: str | None = None
    """None: all addresses, of both families where the machine has both."""

    webhook_port: int = 9443
    health_port: int = 9080
    """Where /healthz, /readyz and /metrics are, without TLS."""

    @property
    def partition(self) -> str:
        """The partition that the region is in: roles of another one cannot be assumed from here."""
        return partition_of(self.region)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], *, with_tls: bool = False) -> Self:
        """Read the PODROLE_* variables; raise ConfigError with everything that is wrong, not with the first thing.

        `with_tls`: a certificate is needed, as it is for the webhook; manifests are no cluster that could keep one.
        """
        is_half_set = bool(environ.get("PODROLE_TLS_CERT")) != bool(environ.get("PODROLE_TLS_KEY"))
        needs_files = is_half_set or (with_tls and bool(environ.get("PODROLE_MANIFESTS")))
        if problems := list(find_problems(environ, REQUIRED | (REQUIRED_FOR_TLS if needs_files else {}))):
            raise ConfigError("\n".join(["the environment is wrong:", *(f"  {problem}" for problem in problems)]))
        return cls(
            sidecar_image=environ["PODROLE_SIDECAR_IMAGE"],
            region=environ["PODROLE_REGION"],
            base_role_arn=_build_base_role_arn(environ),
            credential_source=environ.get("PODROLE_CREDENTIAL_SOURCE") or "web-identity",
            sts_endpoint=environ.get("PODROLE_STS_ENDPOINT") or None,
            sts_ca=_load_path(environ, "PODROLE_STS_CA"),
            sts_proxy=environ.get("PODROLE_STS_PROXY") or None,
            use_fips=environ.get("PODROLE_USE_FIPS") == "true",
            aws_endpoint_url=environ.get("PODROLE_AWS_ENDPOINT_URL") or None,
            redirect_backend=environ.get("PODROLE_REDIRECT_BACKEND") or "nftables",
            pods_without_role=environ.get("PODROLE_PODS_WITHOUT_ROLE") or "block",
            mode=environ.get("PODROLE_MODE") or "auto",
            allow_overrides=frozenset(filter(None, environ.get("PODROLE_ALLOW_OVERRIDES", "").split(","))),
            allowed_roles_format=environ.get("PODROLE_ALLOWED_ROLES_FORMAT") or "glob",
            native_sidecars_confirmed=environ.get("PODROLE_NATIVE_SIDECARS_CONFIRMED") == "true",
            ipv6_only=environ.get("PODROLE_IPV6_ONLY") == "true",
            sidecar_metrics=environ.get("PODROLE_SIDECAR_METRICS") == "true",
            manifests=_load_path(environ, "PODROLE_MANIFESTS"),
            template=_load_path(environ, "PODROLE_TEMPLATE"),
            tls_cert=_load_path(environ, "PODROLE_TLS_CERT"),
            tls_key=_load_path(environ, "PODROLE_TLS_KEY"),
            namespace=environ.get("PODROLE_NAMESPACE") or "podrole-system",
            service=environ.get("PODROLE_SERVICE") or "podrole-injector",
            cluster_domain=environ.get("PODROLE_CLUSTER_DOMAIN") or "cluster.local",
            certificate_secret=environ.get("PODROLE_CERTIFICATE_SECRET") or "podrole-injector-certs",
            webhook_configuration=environ.get("PODROLE_WEBHOOK_CONFIGURATION") or "podrole-injector",
            webhook_host=environ.get("PODROLE_WEBHOOK_HOST") or None,
            webhook_port=int(environ.get("PODROLE_WEBHOOK_PORT") or 9443),
            health_port=int(environ.get("PODROLE_HEALTH_PORT") or 9080),
        )


def _build_base_role_arn(environ: Mapping[str, str]) -> str | None:
    if account := environ.get("PODROLE_ACCOUNT_ID"):
        return f"arn:{partition_of(environ['PODROLE_REGION'])}:iam::{account}:role/"
    return environ.get("PODROLE_BASE_ROLE_ARN") or None


def _load_path(environ: Mapping[str, str], key: str) -> Path | None:
    value = environ.get(key)
    return Path(value) if value else None
