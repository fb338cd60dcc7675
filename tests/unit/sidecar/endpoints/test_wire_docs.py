"""docs/wire.md documents all paths, metrics and rejection reasons."""

import pytest

from sidecar.config import Config
from sidecar.credentials.schedule import State
from sidecar.endpoints import request_filter
from sidecar.endpoints.counters import RefreshOutcome, create_counters
from sidecar.endpoints.handler import UNKNOWN_ROUTE
from sidecar.endpoints.metrics import list_metrics
from sidecar.endpoints.routes import Route, build_routes
from sidecar.endpoints.state import EndpointState
from testing.repository import ROOT

TEXT = (ROOT / "docs" / "wire.md").read_text()
CONFIG = Config(
    role_arn="arn:aws:iam::111122223333:role/reader",
    region="eu-west-1",
    session_name="web",
    run_directory="/run",
    pod_uid="<uid>",
)
STATE = EndpointState(CONFIG, lambda: State(refresh_at=0), b"", "boot")
REJECTED = [
    ("GET", "/", {"host": "evil.example.com"}),
    ("GET", "/", {"via": "proxy"}),
    ("GET", "/", {"origin": "null"}),
    ("GET", "/..", {}),
    ("PUT", "/1.0/api/token", {}),
]


@pytest.mark.parametrize("route", build_routes(STATE), ids=lambda route: route.name)
def test_every_path_and_route_name_is_documented(route: Route) -> None:
    assert f"`{route.name}`" in TEXT
    for path in route.paths:
        assert path.removesuffix("/reader") in TEXT
    assert f"`{UNKNOWN_ROUTE}`" in TEXT


@pytest.mark.parametrize("request_line", REJECTED, ids=lambda line: line[1])
def test_every_rejection_reason_is_documented(request_line: tuple[str, str, dict[str, str]]) -> None:
    rejection = request_filter.filter_request(*request_line)

    assert isinstance(rejection, request_filter.Rejection)
    assert f"| `{rejection.reason}` | {rejection.status} |" in TEXT


@pytest.mark.parametrize("name", ["NOT_REDIRECTED", "NOT_AUTHORIZED"])
def test_every_rejection_of_the_handler_is_documented(name: str) -> None:
    rejection = getattr(request_filter, name)

    assert f"| `{rejection.reason}` | {rejection.status} |" in TEXT


def test_every_metric_is_documented() -> None:
    names = {metric.name for metric in list_metrics(create_counters(), 0.0)}

    assert len(names) == 11
    assert [name for name in sorted(names) if f"`{name}`" not in TEXT] == []
    assert [outcome for outcome in RefreshOutcome if f"`{outcome}`" not in TEXT] == []
