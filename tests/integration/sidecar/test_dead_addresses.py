"""The real processes, where addresses of a name drop every packet, or no DNS server answers."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import ATTEMPTS, Failure
from sidecar.deadlines import NODE_METADATA_SECONDS, STS_CONNECT_SECONDS, STS_REQUEST_SECONDS
from testing.pods import UnavailableError, has_ipv6
from testing.sidecars import build_environ
from tests.integration.sidecar.dead_addresses import DEAD, DEAD_IPV6, DNS, GOOD, Network, dead_addresses

SLACK_SECONDS = 5
"""For the start of a process on a busy machine."""

ASK = """
import sys, urllib.error, urllib.request
port, *paths = sys.argv[1:]
for path in paths:
    try:
        print(urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    if not has_ipv6():
        pytest.skip("the kernel was booted without IPv6: remove ipv6.disable=1 from its command line")
    try:
        with dead_addresses(tmp_path_factory.mktemp("network")) as network:
            yield network
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text("to.ke.n")
    return build_environ(tmp_path, "http://sts.example")


def test_name_of_dead_addresses_only_is_a_connect_timeout_in_time(network: Network, environ: dict[str, str]) -> None:
    with network.name_addresses(*DEAD):
        call = network.fetch(environ)

    assert isinstance(call.outcome, Failure)
    assert call.outcome.code == "ConnectTimeoutError"
    assert STS_CONNECT_SECONDS <= call.seconds_after_query < STS_REQUEST_SECONDS


def test_dns_server_that_never_answers_is_a_connect_timeout_in_time(network: Network, environ: dict[str, str]) -> None:
    with network.name_addresses():
        call = network.fetch(environ)

    assert isinstance(call.outcome, Failure)
    assert (call.outcome.code, call.outcome.is_permanent) == ("ConnectTimeoutError", False)
    assert call.outcome.message.endswith("the name was not resolved in time")
    assert call.seconds >= STS_REQUEST_SECONDS
    assert call.seconds_after_query < STS_REQUEST_SECONDS + SLACK_SECONDS


@pytest.mark.parametrize(
    "dead",
    [
        pytest.param(DEAD[:2], id="two"),
        pytest.param(DEAD[:4], id="four"),
        pytest.param(DEAD, id="eight"),
        pytest.param(DEAD_IPV6, id="eight-of-ipv6"),
    ],
)
def test_dead_addresses_before_a_good_one_delay_a_call_by_seconds(
    network: Network, environ: dict[str, str], dead: tuple[str, ...]
) -> None:
    with network.name_addresses(*dead, GOOD):
        assert network.resolve("sts.example") == [*dead, GOOD]
        call = network.fetch(environ)

    assert isinstance(call.outcome, Credentials)
    assert call.seconds_after_query < 2 * STS_CONNECT_SECONDS


def test_dead_dns_servers_before_a_good_one_delay_the_first_answer_only(
    network: Network, environ: dict[str, str]
) -> None:
    """The C library waits 5 s for each, which is more than the first attempt has; the second one gets the answer."""
    network.set_dns_servers(*DEAD[:2], DNS)
    try:
        with network.name_addresses(GOOD):
            call = network.fetch(environ, ATTEMPTS)
    finally:
        network.set_dns_servers(DNS)

    assert isinstance(call.outcome, Credentials)
    assert call.seconds < 2 * STS_REQUEST_SECONDS + SLACK_SECONDS


def test_dead_addresses_delay_each_call_of_a_chain_by_seconds(network: Network, environ: dict[str, str]) -> None:
    chained = environ | {"PODROLE_INTERMEDIATE_ROLE": "arn:aws:iam::999988887777:role/hub"}
    with network.name_addresses(*DEAD[:4], GOOD):
        call = network.fetch(chained)

    assert isinstance(call.outcome, Credentials)


def test_dead_addresses_of_a_proxy_delay_a_call_by_seconds(network: Network, environ: dict[str, str]) -> None:
    with network.name_addresses(*DEAD, GOOD):
        call = network.fetch(environ | {"PODROLE_STS_PROXY": "http://proxy.example:80"})

    assert isinstance(call.outcome, Credentials)


def test_pass_through_answers_in_time_without_a_dns_server(
    network: Network, environ: dict[str, str], tmp_path: Path
) -> None:
    environ |= {
        "PODROLE_METADATA_PASSTHROUGH": "true",
        "PODROLE_NODE_METADATA_ENDPOINT": "http://node.example",
        "PODROLE_STS_ENDPOINT": f"http://{GOOD}",
    }
    log = tmp_path / "sidecar.log"
    with (
        network.name_addresses(),
        log.open("wb") as output,
        network.popen(["-m", "sidecar"], environ, stderr=output) as process,
    ):
        try:
            wait_for(log, '"started"')
            paths = ["/latest/meta-data/instance-id", "/latest/meta-data/hostname"]
            began = time.monotonic()
            with network.popen(["-c", ASK, environ["PODROLE_PORT"], *paths], environ, stdout=subprocess.PIPE) as asking:
                statuses, _ = asking.communicate(timeout=30)
            seconds = time.monotonic() - began
        finally:
            process.kill()

    assert statuses.split() == [b"404", b"404"]
    assert NODE_METADATA_SECONDS <= seconds < NODE_METADATA_SECONDS + SLACK_SECONDS
    assert "the name was not resolved in time" in log.read_text()


def wait_for(log: Path, text: str) -> None:
    deadline = time.monotonic() + 20
    while text not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
