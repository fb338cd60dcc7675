"""Reads the webhook's configuration from its Deployment. The caller's own PODROLE_* variables take precedence."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple

import yaml

from injector.config import VARIABLES, Config
from injector.errors import ConfigError
from injector.k8s.objects import Object, read_mapping, read_objects, read_strings
from injector.patch.sts_ca import SETTING, parse_sts_ca
from injector.patch.template import Template, load_template
from podrole.diagnosis.state.webhooks import find_podrole_webhooks


class DeploymentRef(NamedTuple):
    """The namespace of the webhook, and the name of its Deployment, Service and ServiceAccount."""

    namespace: str = "podrole-system"
    name: str = "podrole-injector"


REQUIRED = "PODROLE_SIDECAR_IMAGE"
TEMPLATE = "PODROLE_TEMPLATE"


class DeployedEnv(NamedTuple):
    """The variables of the running webhook, as far as they can be read without Secrets."""

    environ: Mapping[str, str]
    sources: Mapping[str, str] = {}
    """Where each variable comes from: `ConfigMap <name>`, or `the Deployment`."""

    gaps: tuple[str, ...] = ()
    """The sources of variables that could not be read."""

    template: str | None = None
    """The text of an edited template, from its mounted ConfigMap."""

    sts_ca: str | None = None
    """The text of the file of CAs, from its mounted ConfigMap."""

    certificate: tuple[str, str] = ("podrole-injector-certs", "tls.crt")
    """The Secret with the serving certificate, and the key in it."""


class EffectiveConfig(NamedTuple):
    """Everything that the webhook's decisions depend on, except for the cluster."""

    config: Config
    template: Template
    is_template_shipped: bool
    """Whether the built-in template replaces an edited one that could not be read."""


def find_deployment(configurations: Iterable[Object]) -> DeploymentRef:
    """Find the webhook's Service by its registration; the default if it is not registered or uses a URL."""
    for webhook in find_podrole_webhooks(configurations):
        service = read_mapping(webhook.client, "service")
        if service:
            return DeploymentRef(str(service.get("namespace")), str(service.get("name")))
    return DeploymentRef()


def list_config_maps(deployment: Object) -> list[str]:
    """List the names of the ConfigMaps that the Deployment uses."""
    names = [
        read_mapping(source, "configMapRef").get("name")
        for container in _read_containers(deployment)
        for source in read_objects(container, "envFrom")
    ]
    names += [
        read_mapping(read_mapping(variable, "valueFrom"), "configMapKeyRef").get("name")
        for container in _read_containers(deployment)
        for variable in read_objects(container, "env")
    ]
    names += [
        read_mapping(volume, "configMap").get("name") for volume in read_objects(_read_pod_spec(deployment), "volumes")
    ]
    return [*dict.fromkeys(str(name) for name in names if name)]


def read_deployed_env(deployment: Object, config_maps: Iterable[Object]) -> DeployedEnv:
    """Read the environment of the webhook's container; of the first container if none has its variables."""
    data = _read_data(config_maps)
    settings = [_read_container(container, deployment, data) for container in _read_containers(deployment)]
    configured = [one for one in settings if REQUIRED in one.environ]
    return next(iter([*configured, *settings]), DeployedEnv({}))


def build_effective_config(settings: DeployedEnv | None, environ: Mapping[str, str]) -> EffectiveConfig:
    """Build the webhook's configuration; raise ConfigError if settings are missing or invalid."""
    own = {key: value for key, value in environ.items() if key in VARIABLES}
    live = settings or DeployedEnv({})
    # Preflight reports unknown variables. The webhook that runs can be of another version, which knows them.
    config = Config.from_environ({key: value for key, value in live.environ.items() if key in VARIABLES} | own)
    sts_ca_pem = None
    if SETTING not in own and config.sts_ca is not None:  # as for the template
        sts_ca_pem = parse_sts_ca(live.sts_ca, config.sts_ca) if live.sts_ca else None
        config = config._replace(sts_ca=None)
    if TEMPLATE in own or config.template is None:
        return EffectiveConfig(config, load_template(config, sts_ca_pem), is_template_shipped=False)
    # The path is one in the webhook's container.
    if live.template is None:
        return EffectiveConfig(
            config, load_template(config._replace(template=None), sts_ca_pem), is_template_shipped=True
        )
    try:
        document = yaml.safe_load(live.template)
    except yaml.YAMLError as error:
        raise ConfigError(f"the webhook's template is not valid YAML: {error}") from error
    return EffectiveConfig(config, Template.from_document(document, config, sts_ca_pem), is_template_shipped=False)


def read_container_env(container: Object, workload: Object, config_maps: Iterable[Object]) -> DeployedEnv:
    """Read the environment of a workload's container, with these ConfigMaps."""
    return _read_container(container, workload, _read_data(config_maps))


def _read_data(config_maps: Iterable[Object]) -> Mapping[str, Mapping[str, str]]:
    return {str(read_mapping(one, "metadata").get("name")): read_strings(one, "data") for one in config_maps}


def _read_container(container: Object, deployment: Object, data: Mapping[str, Mapping[str, str]]) -> DeployedEnv:
    variables = _Variables()
    for source in read_objects(container, "envFrom"):
        variables.add_all(source, data)
    for variable in read_objects(container, "env"):
        variables.add(variable, deployment, data)
    environ, gaps = variables.environ, variables.gaps
    template = _find_file(environ.get(TEMPLATE), container, deployment, data)
    sts_ca = _find_file(environ.get(SETTING), container, deployment, data)
    if environ.get(SETTING) and sts_ca is None:
        gaps.append(SETTING)
    certificate = _find_certificate(environ, container, deployment)
    return DeployedEnv(environ, variables.sources, tuple(gaps), template, sts_ca, certificate)


@dataclass
class _Variables:
    """The variables of a container, while they are collected. A later one replaces an earlier one."""

    environ: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)

    def add_all(self, source: Object, data: Mapping[str, Mapping[str, str]]) -> None:
        """Add what an element of `envFrom` refers to."""
        name = str(read_mapping(source, "configMapRef").get("name") or "")
        if name not in data:
            self.gaps.append(f"ConfigMap {name}" if name else f"Secret {read_mapping(source, 'secretRef').get('name')}")
            return
        prefix = source.get("prefix") or ""
        self.environ |= {f"{prefix}{key}": value for key, value in data[name].items()}
        self.sources |= {f"{prefix}{key}": f"ConfigMap {name}" for key in data[name]}

    def add(self, variable: Object, deployment: Object, data: Mapping[str, Mapping[str, str]]) -> None:
        """Add an element of `env`."""
        name, reference = str(variable.get("name")), read_mapping(variable, "valueFrom")
        value = _resolve(reference, deployment, data) if reference else str(variable.get("value") or "")
        if value is not None:
            self.environ[name] = value
            config_map = read_mapping(reference, "configMapKeyRef").get("name")
            self.sources[name] = f"ConfigMap {config_map}" if config_map else "the Deployment"
        elif name.startswith("PODROLE_"):
            self.gaps.append(name)


def _resolve(reference: Object, deployment: Object, data: Mapping[str, Mapping[str, str]]) -> str | None:
    if read_mapping(reference, "fieldRef").get("fieldPath") == "metadata.namespace":
        return str(read_mapping(deployment, "metadata").get("namespace"))
    key = read_mapping(reference, "configMapKeyRef")
    return data.get(str(key.get("name")), {}).get(str(key.get("key")))


def _find_file(
    path: str | None, container: Object, deployment: Object, data: Mapping[str, Mapping[str, str]]
) -> str | None:
    volume, key = _find_mounted(path, container, deployment)
    return data.get(str(read_mapping(volume, "configMap").get("name")), {}).get(key)


def _find_certificate(environ: Mapping[str, str], container: Object, deployment: Object) -> tuple[str, str]:
    """Find the Secret of the serving certificate: the mounted one of PODROLE_TLS_CERT, or the self-managed one."""
    volume, key = _find_mounted(environ.get("PODROLE_TLS_CERT"), container, deployment)
    if name := read_mapping(volume, "secret").get("secretName"):
        return str(name), key
    name, key = DeployedEnv({}).certificate
    return environ.get("PODROLE_CERTIFICATE_SECRET") or name, key


def _find_mounted(path: str | None, container: Object, deployment: Object) -> tuple[Object, str]:
    """Find the volume that contains a file of the container, and the file's name there."""
    volumes = {str(one.get("name")): one for one in read_objects(_read_pod_spec(deployment), "volumes")}
    for mount in read_objects(container, "volumeMounts"):
        place = PurePosixPath(str(mount.get("mountPath")))
        if path and PurePosixPath(path).is_relative_to(place):
            name = str(mount.get("subPath") or PurePosixPath(path).relative_to(place))
            return volumes.get(str(mount.get("name")), {}), name
    return {}, ""


def _read_pod_spec(deployment: Object) -> Object:
    return read_mapping(read_mapping(read_mapping(deployment, "spec"), "template"), "spec")


def _read_containers(deployment: Object) -> Iterator[Object]:
    yield from read_objects(_read_pod_spec(deployment), "containers")
