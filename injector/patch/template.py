"""The injected containers, read once from template.yaml and checked against the contract. Nothing here knows a pod."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import yaml

import contract
from contract.modes import CredentialSource
from injector.config import Config
from injector.errors import ConfigError
from injector.k8s.objects import Object
from injector.patch.sts_ca import load_sts_ca

SHIPPED = Path(__file__).with_name("template.yaml")

NODE_METADATA_BY_IPV6 = "http://[fd00:ec2::254]"

OPERATOR_NAMES = {"$SIDECAR_IMAGE", "$REGION"}
ENV_NAMES = {
    *("$STS_ENDPOINT", "$METRICS", "$ROLE_ARN", "$MODE", "$SESSION_NAME", "$SESSION_DURATION", "$IMDS_TOKENS"),
    *("$SOURCE", "$INTERMEDIATE_ROLE", "$EXTERNAL_ID", "$SESSION_TAGS", "$STS_CA_PEM", "$STS_PROXY", "$USE_FIPS"),
    *("$METADATA_PASSTHROUGH", "$NODE_METADATA_ENDPOINT", "$RUN_DIRECTORY"),
}
"""Only in the sidecar's `env`: a variable whose $NAME has no value is left out there."""

SIDECAR_ENV = {
    contract.ENV_ROLE_ARN,
    contract.ENV_REGION,
    contract.ENV_CREDENTIAL_SOURCE,
    contract.ENV_INTERMEDIATE_ROLE,
    contract.ENV_EXTERNAL_ID,
    contract.ENV_SESSION_TAGS,
    contract.ENV_STS_ENDPOINT,
    contract.ENV_STS_CA_PEM,
    contract.ENV_STS_PROXY,
    contract.ENV_USE_FIPS,
    contract.ENV_METADATA_PASSTHROUGH,
    contract.ENV_NODE_METADATA_ENDPOINT,
    contract.ENV_SESSION_NAME,
    contract.ENV_SESSION_DURATION,
    contract.ENV_IMDS_TOKENS,
    contract.ENV_METRICS,
    contract.ENV_MODE,
    contract.ENV_POD_NAMESPACE,
    contract.ENV_POD_NAME,
    contract.ENV_POD_UID,
    contract.ENV_RUN_DIRECTORY,
}
"""Dropping one from an edited template would drop what a user asked for without a word."""


@dataclass(frozen=True, slots=True)
class Template:
    """What may be added to a pod. The same objects go into every pod's patch: nobody may change one."""

    redirect: Object
    redirect_node: Object
    """With the sidecar's user let through to the node's metadata service."""

    block: Object
    sidecar: Object
    guaranteed_redirect: Object
    guaranteed_sidecar: Object
    """Resources for a pod that must stay Guaranteed."""

    token: Object
    run_directory: str
    host_ipc_run_directory: str
    host_ipc_run_mount: Object
    host_ipc_run_volume: Object

    @classmethod
    def from_document(cls, document: Any, config: Config, sts_ca_pem: str | None = None) -> Self:
        """Fill in the operator's values and pick the redirect; raise ConfigError with everything that is wrong."""
        try:
            if problems := list(_find_problems(document)):
                raise ConfigError("\n".join(["the template is wrong:", *(f"  {problem}" for problem in problems)]))
            values = {"$SIDECAR_IMAGE": config.sidecar_image, "$REGION": config.region}
            filled = _fill(document, values)
            filled["sidecar"]["env"] = fill_env(filled["sidecar"]["env"], _choose_values(config, sts_ca_pem))
            return cls(
                redirect=filled["redirect"][config.redirect_backend],
                redirect_node=filled["redirect-node"][config.redirect_backend],
                block=filled["block"][config.redirect_backend],
                sidecar=filled["sidecar"],
                guaranteed_redirect=filled["guaranteed"]["redirect"],
                guaranteed_sidecar=filled["guaranteed"]["sidecar"],
                token=filled["token"],
                run_directory=filled["run"]["directory"],
                host_ipc_run_directory=filled["run-with-host-ipc"]["directory"],
                host_ipc_run_mount=filled["run-with-host-ipc"]["mount"],
                host_ipc_run_volume=filled["run-with-host-ipc"]["volume"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"the template is wrong: it lacks a part or has another shape ({error!r})") from error


def load_template(config: Config, sts_ca_pem: str | None = None) -> Template:
    """Read the shipped template or the operator's, and the authorities of STS unless they are given."""
    path = config.template or SHIPPED
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"the template {path} cannot be read: {error}") from error
    if sts_ca_pem is None and config.sts_ca is not None:
        sts_ca_pem = load_sts_ca(config.sts_ca)
    return Template.from_document(document, config, sts_ca_pem)


def fill_env(env: Sequence[Object], values: Mapping[str, str | None]) -> list[Object]:
    """The variables with every $NAME of `values` replaced; one whose value is None is left out."""
    return [
        {**variable, "value": values[name]} if name in values else variable
        for variable in env
        if values.get(name := variable.get("value", ""), "") is not None
    ]


def _choose_values(config: Config, sts_ca_pem: str | None) -> Mapping[str, str | None]:
    """What the operator chose for every sidecar. None: the sidecar's own default."""
    return {
        "$SOURCE": config.credential_source.value if config.credential_source == CredentialSource.NODE else None,
        "$STS_ENDPOINT": config.sts_endpoint,
        "$STS_CA_PEM": sts_ca_pem,
        "$STS_PROXY": config.sts_proxy,
        "$USE_FIPS": "true" if config.use_fips else None,
        "$METRICS": "true" if config.sidecar_metrics else None,
        "$NODE_METADATA_ENDPOINT": NODE_METADATA_BY_IPV6 if config.ipv6_only else None,
    }


def _fill(node: Any, values: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _fill(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(element, values) for element in node]
    return values[node] if isinstance(node, str) and node in values else node


def _find_problems(document: Any) -> Iterator[str]:
    for place, present, agreed in _find_agreements(document):
        if present != agreed:
            yield f"{place} is {present!r}: the sidecar counts on {agreed!r}"
    env = document["sidecar"]["env"]
    for missing in sorted(SIDECAR_ENV - {variable["name"] for variable in env}):
        yield f"sidecar.env lacks {missing}"
    rest = {**document, "sidecar": {**document["sidecar"], "env": []}}
    for place, node, known in (("sidecar.env", env, OPERATOR_NAMES | ENV_NAMES), ("the rest", rest, OPERATOR_NAMES)):
        for name in set(_find_names(node)) - known:
            yield f"{name} means nothing in {place}: use {', '.join(sorted(known))}"


def _find_agreements(document: Any) -> Iterator[tuple[str, Any, Any]]:
    """Place, what the template has there, and what the contract says."""
    sidecar = document["sidecar"]
    yield "sidecar.name", sidecar["name"], contract.SIDECAR_CONTAINER
    yield "sidecar.restartPolicy", sidecar.get("restartPolicy"), "Always"
    for key in ("runAsUser", "runAsGroup"):
        yield f"sidecar.securityContext.{key}", sidecar["securityContext"][key], contract.SIDECAR_UID
    parts = ("redirect", "redirect-node", "block")
    containers = [(f"{part}.{kind}", document[part][kind]) for part in parts for kind in document[part]]
    for place, container in containers:
        yield f"{place}.name", container["name"], contract.REDIRECT_CONTAINER
        words = re.split(r"[ =]", " ".join(container["command"]))
        named = dict(pairwise(words))
        port = str(contract.SIDECAR_PORT) if place.startswith("redirect") else None
        yield f"the sidecar's port in {place}.command", named.get("listen", named.get("--listen")), port
        uid = str(contract.SIDECAR_UID) if place.startswith("redirect-node") else None
        yield f"the sidecar's user in {place}.command", named.get("sidecar_uid", named.get("--sidecar-uid")), uid
    for place, container in [("sidecar", sidecar), *containers]:
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        yield (
            f"the volume at {contract.TOKEN_DIRECTORY} of {place}",
            mounts.get(contract.TOKEN_DIRECTORY),
            contract.TOKEN_VOLUME,
        )
    yield "token.name", document["token"]["name"], contract.TOKEN_VOLUME
    token = document["token"]["projected"]["sources"][0]["serviceAccountToken"]
    yield "token.path", f"{contract.TOKEN_DIRECTORY}/{token['path']}", contract.TOKEN_FILE
    run = document["run-with-host-ipc"]
    yield "run-with-host-ipc.volume.name", run["volume"]["name"], contract.RUN_VOLUME
    yield "run-with-host-ipc.mount.name", run["mount"]["name"], contract.RUN_VOLUME


def _find_names(node: Any) -> Iterator[str]:
    if isinstance(node, str) and node.startswith("$") and not node.startswith("$("):
        yield node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from _find_names(child)
