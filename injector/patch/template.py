"""The injected containers, read once from template.yaml and checked against the contract."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import yaml

import contract
from contract.modes import CredentialSource, Mode
from injector.config import Config
from injector.decision.pod_settings import POD_ANNOTATIONS
from injector.errors import ConfigError
from injector.k8s.objects import Object
from injector.patch.app_env import EnvironmentChange, plan_environment
from injector.patch.sts_ca import load_sts_ca
from injector.unknown_settings import SIDECAR_VARIABLES, describe_unknown, find_unknown

SHIPPED = Path(__file__).with_name("template.yaml")

NODE_METADATA_BY_IPV6 = "http://[fd00:ec2::254]"

AUDIENCE_PLACEHOLDER = "$AUDIENCE"
OPERATOR_PLACEHOLDERS = {"$SIDECAR_IMAGE", "$REGION", AUDIENCE_PLACEHOLDER}
"""Allowed anywhere. The placeholder of a variable is allowed only in the sidecar's `env`, see `name_placeholder`."""

POD_VARIABLES = (
    contract.ENV_ROLE_ARN,
    contract.ENV_MODE,
    contract.ENV_INTERMEDIATE_ROLE,
    contract.ENV_METADATA_PASSTHROUGH,
    contract.ENV_METADATA_PASSTHROUGH_PATHS,
    contract.ENV_RUN_DIRECTORY,
    *(annotation.variable for annotation in POD_ANNOTATIONS),
)
"""Variables of the sidecar whose values depend on the pod."""

FIXED_VARIABLES = (contract.ENV_REGION, contract.ENV_POD_NAMESPACE, contract.ENV_POD_NAME, contract.ENV_POD_UID)


@dataclass(frozen=True, slots=True)
class Template:
    """What podrole adds to pods. All patches share these objects: do not change them."""

    redirect: Object
    redirect_node: Object
    """The sidecar's user can reach the node's metadata service."""

    block: Object
    sidecar: Object
    guaranteed_redirect: Object
    guaranteed_sidecar: Object
    """Resources in pods of QoS class Guaranteed."""

    token: Object
    run_directory: str
    host_ipc_run_directory: str
    host_ipc_run_mount: Object
    host_ipc_run_volume: Object

    metadata_paths: str | None
    """What pass-through serves, as the sidecar reads it; None: its default."""

    environment: Mapping[Mode, EnvironmentChange]
    """By mode: the changes to a container that has none of the variables that decide about them."""

    @classmethod
    def from_document(cls, document: Any, config: Config, sts_ca_pem: str | None = None) -> Self:
        """Fill in the operator's values and choose the backend; raise ConfigError with all problems."""
        operator_values = _choose_values(config, sts_ca_pem)
        try:
            if problems := list(_find_problems(document, operator_values)):
                raise ConfigError("\n".join(["invalid template:", *(f"  {problem}" for problem in problems)]))
            values = {
                "$SIDECAR_IMAGE": config.sidecar_image,
                "$REGION": config.region,
                AUDIENCE_PLACEHOLDER: config.audience,
            }
            filled = _fill(document, values)
            filled["sidecar"]["env"] = fill_env(filled["sidecar"]["env"], operator_values)
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
                metadata_paths=",".join(config.metadata_passthrough_paths or ()) or None,
                environment={mode: plan_environment({}, {}, mode, config) for mode in (Mode.REDIRECT, Mode.ENV)},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"invalid template: a part is missing or has the wrong type ({error!r})") from error


def load_template(config: Config, sts_ca_pem: str | None = None) -> Template:
    """Read the built-in template or the operator's, and the CAs of STS unless they are given."""
    path = config.template or SHIPPED
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the template {path}: {error}") from error
    if sts_ca_pem is None and config.sts_ca is not None:
        sts_ca_pem = load_sts_ca(config.sts_ca)
    return Template.from_document(document, config, sts_ca_pem)


@cache
def name_placeholder(variable: str) -> str:
    """`$ROLE_ARN` for PODROLE_ROLE_ARN."""
    return "$" + variable.removeprefix("PODROLE_")


def fill_env(env: Sequence[Object], values: Mapping[str, str | None]) -> list[Object]:
    """Replace the placeholders of these variables. A variable is omitted where the value is None."""
    filled = {name_placeholder(variable): value for variable, value in values.items()}
    return [
        {**variable, "value": filled[text]} if text in filled else variable
        for variable in env
        if filled.get(text := variable.get("value", ""), "") is not None
    ]


def _choose_values(config: Config, sts_ca_pem: str | None) -> Mapping[str, str | None]:
    """The operator's values for every sidecar. None: the sidecar's default."""
    source = config.credential_source
    return {
        contract.ENV_CREDENTIAL_SOURCE: source.value if source == CredentialSource.NODE else None,
        contract.ENV_STS_ENDPOINT: config.sts_endpoint,
        contract.ENV_STS_CA_PEM: sts_ca_pem,
        contract.ENV_STS_PROXY: config.sts_proxy,
        contract.ENV_USE_FIPS: "true" if config.use_fips else None,
        contract.ENV_USE_DUALSTACK: "true" if config.uses_dualstack else None,
        contract.ENV_METRICS: "true" if config.sidecar_metrics else None,
        contract.ENV_SERVE_LOOPBACK: "true" if config.ipv6_only else None,
        contract.ENV_REQUIRE_CLOSED_METADATA: "true" if config.require_closed_metadata else None,
        contract.ENV_NODE_METADATA_ENDPOINT: NODE_METADATA_BY_IPV6 if config.ipv6_only else None,
    }


def _fill(node: Any, values: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _fill(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [_fill(element, values) for element in node]
    return values[node] if isinstance(node, str) and node in values else node


def _find_problems(document: Any, operator_values: Mapping[str, str | None]) -> Iterator[str]:
    for place, present, agreed in _find_agreements(document):
        if present != agreed:
            yield f"{place} is {present!r}: the sidecar needs {agreed!r}"
    env = document["sidecar"]["env"]
    variables = {*operator_values, *POD_VARIABLES}
    for missing in sorted({*variables, *FIXED_VARIABLES} - {variable["name"] for variable in env}):
        yield f"sidecar.env does not set {missing}"
    unknown = find_unknown({variable["name"]: "" for variable in env}, SIDECAR_VARIABLES)
    yield from (f"sidecar.env: {sentence}" for sentence in describe_unknown(unknown, SIDECAR_VARIABLES))
    rest = {**document, "sidecar": {**document["sidecar"], "env": []}}
    in_env = OPERATOR_PLACEHOLDERS | {name_placeholder(variable) for variable in variables}
    for place, node, known in (("sidecar.env", env, in_env), ("other parts", rest, OPERATOR_PLACEHOLDERS)):
        for name in {*_find_placeholders(node)} - known:
            yield f"{name} is not a placeholder for {place}: use {', '.join(sorted(known))}"


def _find_agreements(document: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield a place, what the template has there, and what the contract requires."""
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
    yield "token.audience", token.get("audience"), AUDIENCE_PLACEHOLDER
    yield "token.path", f"{contract.TOKEN_DIRECTORY}/{token['path']}", contract.TOKEN_FILE
    run = document["run-with-host-ipc"]
    yield "run-with-host-ipc.volume.name", run["volume"]["name"], contract.RUN_VOLUME
    yield "run-with-host-ipc.mount.name", run["mount"]["name"], contract.RUN_VOLUME


def _find_placeholders(node: Any) -> Iterator[str]:
    if isinstance(node, str) and node.startswith("$") and not node.startswith("$("):
        yield node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from _find_placeholders(child)
