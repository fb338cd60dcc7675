"""The command that mends what STS refused, where its message says enough."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

import contract
from contract.outside_aws import is_outside_aws
from injector.k8s.objects import Object, read_mapping, read_objects, read_service_account_name, read_spec
from podrole.diagnosis.pods.injection import find_container

ARN = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):role/.+", re.ASCII)
ISSUER = re.compile(r"No OpenIDConnect provider found in your account for (https://[!-~]{1,255})")
OTHER_AUDIENCE = "Incorrect token audience"


def find_command(pod: Object, role: str, failure: Mapping[str, Any]) -> str:
    """Build the command for a refusal; empty outside AWS, and where no command follows from the message."""
    arn = ARN.fullmatch(role)
    if arn is None or is_outside_aws(_read_endpoint(pod)):
        return ""
    code, message = failure.get("code"), str(failure.get("message") or "")
    if code == "AccessDenied":
        namespace = shlex.quote(str(read_mapping(pod, "metadata").get("namespace")))
        account = shlex.quote(read_service_account_name(pod))
        return f"podrole trust-policy {shlex.quote(role)} -n {namespace} -s {account}"
    audience = shlex.quote(find_audience(pod) or "sts.amazonaws.com")
    if code == "InvalidIdentityToken" and message.startswith(OTHER_AUDIENCE):
        provider = f"arn:{arn[1]}:iam::{arn[2]}:oidc-provider/ISSUER"
        return (
            f"aws iam add-client-id-to-open-id-connect-provider --client-id {audience} "
            f"--open-id-connect-provider-arn {provider}"
        )
    if code == "InvalidIdentityToken" and (issuer := ISSUER.match(message)):
        return f"aws iam create-open-id-connect-provider --url {shlex.quote(issuer[1])} --client-id-list {audience}"
    return ""


def find_audience(pod: Object) -> str | None:
    """The audience of the token that the sidecar sends to STS."""
    volumes = (one for one in read_objects(read_spec(pod), "volumes") if one.get("name") == contract.TOKEN_VOLUME)
    sources = (source for volume in volumes for source in read_objects(read_mapping(volume, "projected"), "sources"))
    audiences = (read_mapping(source, "serviceAccountToken").get("audience") for source in sources)
    return next((str(audience) for audience in audiences if audience), None)


def _read_endpoint(pod: Object) -> str | None:
    container = find_container(pod, contract.SIDECAR_CONTAINER) or {}
    values = (
        one.get("value") for one in read_objects(container, "env") if one.get("name") == contract.ENV_STS_ENDPOINT
    )
    return next((str(value) for value in values if value), None)
