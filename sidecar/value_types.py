"""What the values of the sidecar's settings must be, besides the types of `contract.value_types`."""

from contract.modes import Mode
from contract.value_types import HOST, PORT_NUMBER, ValueType


def _parse_session_tags(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (tag.partition("=") for tag in text.split(",") if tag)
    return tuple((key, value) for key, _, value in pairs)


MODE = ValueType("redirect|env", rf"{Mode.REDIRECT}|{Mode.ENV}", "redirect or env", parse=Mode)
SESSION_TAGS = ValueType(
    "TAGS", r"[^=,]+=[^,]*(?:,[^=,]+=[^,]*)*", "key=value, separated by commas", parse=_parse_session_tags
)
PEM = ValueType(
    "PEM", r"(?s)\s*-----BEGIN CERTIFICATE-----\n.+\n-----END CERTIFICATE-----\s*", "certificates in PEM format"
)
NODE_ENDPOINT = ValueType("URL", rf"http://{HOST}(?::{PORT_NUMBER})?", "http:// and a host, optionally with a port")
ZONE = ValueType("ZONE", r"[\w.-]+", "the name of an availability zone, such as eu-west-1a")
INSTANCE_ID = ValueType("ID", r"i-[0-9a-f]{8,17}", "the id of an EC2 instance, such as i-0123456789abcdef0")
UID = ValueType("UID", r"[\w-]+", "the uid of a pod")
ANY = ValueType("NAME", r"(?s).+", "the name of a Kubernetes object")
