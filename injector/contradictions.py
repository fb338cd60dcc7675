"""The checks of one setting of the injector against another."""

import re
from collections.abc import Iterator, Mapping

from contract.modes import CredentialSource
from contract.outside_aws import is_outside_aws
from injector.partitions import partition_of
from injector.value_types import ROLE_ARN_PREFIX, OverrideName


def find_contradictions(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each contradiction. Single values can be wrong."""
    for variable in ("PODROLE_USE_FIPS", "PODROLE_USE_DUALSTACK"):
        if environ.get(variable) == "true" and environ.get("PODROLE_STS_ENDPOINT"):
            yield f"{variable} and PODROLE_STS_ENDPOINT are both set: set only one"
    if environ.get("PODROLE_REQUIRE_STS_ENDPOINT") == "true" and not environ.get("PODROLE_STS_ENDPOINT"):
        yield (
            "PODROLE_REQUIRE_STS_ENDPOINT is true: set PODROLE_STS_ENDPOINT to the URL of the store's STS, or sidecars "
            "would send pods' tokens to AWS"
        )
    yield from _find_contradictions_of_node_metadata(environ)
    if environ.get("PODROLE_CLIENT_NAME") and not environ.get("PODROLE_CLIENT_CA"):
        yield "PODROLE_CLIENT_NAME is set without PODROLE_CLIENT_CA, so no client needs a certificate: set both"
    base = re.fullmatch(ROLE_ARN_PREFIX.pattern, environ.get("PODROLE_BASE_ROLE_ARN", ""), re.ASCII)
    if base and environ.get("PODROLE_ACCOUNT_ID"):
        yield "PODROLE_ACCOUNT_ID and PODROLE_BASE_ROLE_ARN are both set: set only one"
    expected = partition_of(environ.get("PODROLE_REGION", ""))
    if base and base["partition"] != expected and not is_outside_aws(environ.get("PODROLE_STS_ENDPOINT")):
        yield f"PODROLE_BASE_ROLE_ARN is in partition {base['partition']}, but PODROLE_REGION is in {expected}"


def _find_contradictions_of_node_metadata(environ: Mapping[str, str]) -> Iterator[str]:
    passes = OverrideName.METADATA_PASSTHROUGH in environ.get("PODROLE_ALLOW_OVERRIDES", "").split(",")
    if environ.get("PODROLE_REQUIRE_CLOSED_METADATA") == "true":
        if environ.get("PODROLE_CREDENTIAL_SOURCE") == CredentialSource.NODE:
            yield "PODROLE_REQUIRE_CLOSED_METADATA is true: the credential source node needs the node's metadata"
        if passes:
            yield "PODROLE_REQUIRE_CLOSED_METADATA is true: the override metadata-passthrough needs the node's metadata"
    if environ.get("PODROLE_METADATA_PASSTHROUGH_PATHS") and not passes:
        yield "PODROLE_METADATA_PASSTHROUGH_PATHS is set without the override metadata-passthrough: allow it as well"
