"""The variables that the kubelet sets for Services, and those that only look like them."""

import pytest

from contract.service_links import is_service_link
from injector.config import VARIABLES
from sidecar.config import VARIABLES as SIDECAR_VARIABLES


def build_links(name: str, address: str, port: int = 443, port_name: str = "", protocol: str = "tcp") -> dict[str, str]:
    """What the kubelet sets for a Service: https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/kubelet/envvars."""
    host = f"[{address}]" if ":" in address else address
    prefix = name.upper().replace("-", "_")
    url, of_port = f"{protocol}://{host}:{port}", f"{prefix}_PORT_{port}_{protocol.upper()}"
    named = {f"{prefix}_SERVICE_PORT_{port_name.upper().replace('-', '_')}": str(port)} if port_name else {}
    return named | {
        f"{prefix}_SERVICE_HOST": address,
        f"{prefix}_SERVICE_PORT": str(port),
        f"{prefix}_PORT": url,
        of_port: url,
        f"{of_port}_PROTO": protocol,
        f"{of_port}_PORT": str(port),
        f"{of_port}_ADDR": address,
    }


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        pytest.param("PODROLE_WEBHOOK_PORT", "9443", id="port-of-ours"),
        pytest.param("PODROLE_WEBHOK_PORT", "9443", id="misspelt-port"),
        pytest.param("PODROLE_WEBHOK_PORT", "http://10.96.0.10:80", id="url-of-http"),
        pytest.param("PODROLE_STS_SERVICE_HOST", "sts.example.com", id="host-is-a-name"),
        pytest.param("PODROLE_STS_SERVICE_PORT", "https", id="port-is-a-name"),
        pytest.param("PODROLE_X_PORT_443_HTTP", "http://10.96.0.10:80", id="unknown-protocol"),
        pytest.param("PODROLE_X_PORT_443_TCP_ADDR", "", id="empty"),
        pytest.param("PODROLE_X_PORT", "tcp://10.96.0.10:80\n", id="line-break"),
        pytest.param("podrole_x_port", "tcp://10.96.0.10:80", id="lower-case"),
        pytest.param("PODROLE_REGION", "eu-west-1", id="other-name"),
    ],
)
def test_other_variable_is_no_link(variable: str, value: str) -> None:
    assert not is_service_link(variable, value)


@pytest.mark.parametrize("name", ["podrole", "podrole-injector", "podrole-webhook", "podrole-metrics", "podrole-9"])
@pytest.mark.parametrize(
    "service",
    [
        pytest.param({"address": "10.96.0.10"}, id="ipv4"),
        pytest.param({"address": "fd00:10:96::a"}, id="ipv6"),
        pytest.param({"address": "10.96.0.10", "port": 53, "protocol": "udp"}, id="udp"),
        pytest.param({"address": "10.96.0.10", "port": 65535, "protocol": "sctp"}, id="sctp"),
        pytest.param({"address": "10.96.0.10", "port_name": "https-webhook-2"}, id="named-port"),
    ],
)
def test_every_variable_of_a_service_is_a_link(name: str, service: dict[str, object]) -> None:
    links = build_links(name, **service)  # type: ignore[arg-type]

    assert [one for one, value in links.items() if not is_service_link(one, value)] == []


def test_no_default_form_of_a_setting_is_a_link() -> None:
    values = ("9443", "eu-west-1", "true", "podrole-system", "https://sts.example.com", "::1", "")

    assert [
        name for name in (*VARIABLES, *SIDECAR_VARIABLES) if any(is_service_link(name, one) for one in values)
    ] == []
