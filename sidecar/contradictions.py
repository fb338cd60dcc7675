"""The checks of one setting of the sidecar against another."""

from collections.abc import Iterator, Mapping

import contract
from contract.modes import CredentialSource, Mode
from contract.value_types import SESSION_DURATION


def find_contradictions(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each contradiction. Single values can be wrong."""
    if not environ.get(contract.ENV_SESSION_NAME) and not environ.get(contract.ENV_POD_NAME):
        yield f"{contract.ENV_SESSION_NAME} and {contract.ENV_POD_NAME} are not set: one of them must name the session"
    is_node = environ.get(contract.ENV_CREDENTIAL_SOURCE) == CredentialSource.NODE
    if is_node or environ.get(contract.ENV_INTERMEDIATE_ROLE):
        duration = environ.get(contract.ENV_SESSION_DURATION, "")
        if SESSION_DURATION.accepts(duration) and int(duration) > contract.MAX_CHAINED_SECONDS:
            reason = f"role chaining limits sessions to {contract.MAX_CHAINED_SECONDS}"
            yield f"{contract.ENV_SESSION_DURATION} is {duration}: {reason}"
    else:
        for key in (contract.ENV_EXTERNAL_ID, contract.ENV_SESSION_TAGS):
            if environ.get(key):
                yield f"{key} is set: web identity credentials cannot use it without {contract.ENV_INTERMEDIATE_ROLE}"
    uses_node = is_node or environ.get(contract.ENV_METADATA_PASSTHROUGH) == "true"
    is_env_mode = environ.get(contract.ENV_MODE) == Mode.ENV
    if uses_node and is_env_mode and environ.get(contract.ENV_REQUIRE_CLOSED_METADATA) == "true":
        key = contract.ENV_CREDENTIAL_SOURCE if is_node else contract.ENV_METADATA_PASSTHROUGH
        yield f"{contract.ENV_REQUIRE_CLOSED_METADATA} and {key} are both set: the latter needs the node's service"
    for key in (contract.ENV_USE_FIPS, contract.ENV_USE_DUALSTACK):
        if environ.get(key) == "true" and environ.get(contract.ENV_STS_ENDPOINT):
            yield f"{key} and {contract.ENV_STS_ENDPOINT} are both set: set only one"
