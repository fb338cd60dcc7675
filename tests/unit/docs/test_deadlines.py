"""docs/deadlines.md has every wait of the code; test_links.py checks that its tests exist."""

import ast
import re
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import yaml

import contract
import injector.deadlines
import podrole.deadlines
import server.deadlines
import sidecar.deadlines
from sidecar.credentials.schedule import MAX_FETCH_SECONDS
from testing.repository import ROOT
from tests.unit.docs.pages import CONSTANT, read_constant, read_section, read_tables
from tests.unit.waits import DEADLINES, PACKAGES, Wait, find_numbers, find_sockets, find_unlimited, read_constants
from tests.unit.waits import read_modules as read_code

PAGE = ROOT / "docs" / "deadlines.md"
SUMS, ENDED = "Waits within waits", "Waits that something else ends"
FILES = [ROOT / package / DEADLINES for package in PACKAGES if (ROOT / package / DEADLINES).exists()]

AGES = {
    "contract/__init__.py: MAX_CHAINED_SECONDS",
    "server/log_limit.py: INTERVAL_SECONDS",
    "sidecar/credentials/clocks.py: JUMP_SECONDS",
    "sidecar/credentials/credentials.py: EXPIRY_MARGIN_SECONDS",
    "sidecar/credentials/schedule.py: MAX_FETCH_SECONDS",
    "sidecar/credentials/schedule.py: MIN_SERVED_LIFETIME_SECONDS",
    "sidecar/endpoints/imds_tokens.py: MAX_TTL_SECONDS",
    "sidecar/endpoints/node_metadata.py: CACHE_TTL_SECONDS",
    "sidecar/endpoints/node_metadata.py: CHANGING_TTL_SECONDS",
    "sidecar/endpoints/node_metadata.py: REQUESTS_SECONDS",
    "sidecar/endpoints/node_metadata.py: TTL_SECONDS",
    "sidecar/http_client/resolve.py: MAX_LATE_SECONDS",
    "sidecar/sts/chain.py: MIN_SESSION_SECONDS",
    "injector/certs/cluster_clock.py: MAX_SKEW_SECONDS",
    "injector/webhook/denials.py: MIN_IDLE_SECONDS",
    "sidecar/credentials/credentials.py: CLOCK_TOLERANCE_SECONDS",
    "sidecar/sts/lifetime.py: LONGEST_SESSION_SECONDS",
    "injector/certs/manager.py: FIRST_PROGRESS_SECONDS",
    "injector/certs/manager.py: PROGRESS_SECONDS",
    "injector/certs/x509.py: BACKDATED_SECONDS",
    "injector/certs/x509.py: DAY_SECONDS",
    "injector/certs/x509.py: Lifetimes: propagation_seconds",
    "injector/k8s/direct_reader.py: VERSION_RETRY_SECONDS",
    "injector/k8s/direct_reader.py: VERSION_TTL_SECONDS",
    "injector/k8s/reflector.py: MIN_WATCH_SECONDS",
    "injector/restarts.py: STABLE_SECONDS",
    "injector/webhook/cpu_budget.py: MAX_SAVED_SECONDS",
    "podrole/diagnosis/installation/registration.py: DAY_SECONDS",
}
"""Ages and lifetimes of sessions, certificates, caches and log lines: nobody waits for them."""


class Row(NamedTuple):
    """A row of a table of waits."""

    wait: str
    limit: str
    constant: str
    then: str
    test: str


class Sum(NamedTuple):
    """Waits that must fit into another one."""

    waits: str
    within: str
    purpose: str


TEXT = PAGE.read_text()
HEADINGS = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
TABLES = [read_tables(read_section(PAGE, heading))[1:] for heading in HEADINGS if heading not in {SUMS, ENDED}]
ROWS = [Row(*cells) for table in TABLES for cells in table]
ALL_SUMS = [Sum(*cells) for cells in read_tables(read_section(PAGE, SUMS))[1:]]

each_row = pytest.mark.parametrize("row", ROWS, ids=[f"{row.wait}, {row.limit}" for row in ROWS])


def parse_limit(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.removesuffix(" s").split(", "))


def find_text(link: str) -> str:
    """The first paragraph of the constant's docstring, on one line."""
    match = CONSTANT.fullmatch(link)
    assert match
    texts = dict(read_constants(ROOT / match[2]))
    return " ".join(texts[match[1]].partition("\n\n")[0].split())


@each_row
def test_limit_is_the_one_of_the_code(row: Row) -> None:
    value = read_constant(row.constant)

    assert parse_limit(row.limit) == (value if isinstance(value, tuple) else (value,))


@each_row
def test_row_says_what_the_code_says(row: Row) -> None:
    assert f"{row.wait}: {row.then[0].lower()}{row.then[1:]}" == find_text(row.constant)


@each_row
def test_row_names_its_test(row: Row) -> None:
    assert re.fullmatch(r"`test_\w+`(?:, `test_\w+`)*", row.test)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
def test_every_constant_has_one_row_and_its_unit_in_its_name(file: Any) -> None:
    linked = [match for row in ROWS if (match := CONSTANT.fullmatch(row.constant))]
    names = [name for name, _ in read_constants(file)]

    assert sorted(match[1] for match in linked if ROOT / match[2] == file) == sorted(names)
    assert [name for name in names if not name.endswith("_SECONDS")] == []


def test_every_constant_is_used() -> None:
    code = "\n".join(
        file.read_text() for package in PACKAGES for file in (ROOT / package).rglob("*.py") if file not in FILES
    )
    names = [name for file in FILES for name, _ in read_constants(file)]

    assert [name for name in names if not re.search(rf"\b{name}\b", code)] == []


def test_every_call_that_can_wait_for_ever_is_on_the_page_with_what_ends_it() -> None:
    waits = {
        wait for path, module in read_code() for find in (find_unlimited, find_sockets) for wait in find(path, module)
    }
    listed = set()
    for code, where, ends in read_tables(read_section(PAGE, ENDED))[1:]:
        match = CONSTANT.fullmatch(where)
        assert match
        assert ends
        listed.add(Wait(match[2], match[1], code.strip("`")))

    assert waits == listed


def test_no_wait_is_written_as_a_number_outside_of_the_deadlines() -> None:
    found = {
        number for path, module in read_code() if not path.endswith(DEADLINES) for number in find_numbers(path, module)
    }

    assert found == AGES


def read_names() -> dict[str, Any]:
    """What the expressions of the sums can name."""
    [webhook] = yaml.safe_load((ROOT / "kustomize/base/webhook.yaml").read_text())["webhooks"][:1]
    [workloads] = yaml.safe_load((ROOT / "kustomize/base/warnings.yaml").read_text())["webhooks"]
    pod = yaml.safe_load((ROOT / "kustomize/base/deployment.yaml").read_text())["spec"]["template"]["spec"]
    [container] = pod["containers"]
    probe = container["livenessProbe"]
    return {
        "addresses": len(contract.METADATA_ADDRESSES),
        "refresh_lead": MAX_FETCH_SECONDS,
        "kubelet_grace": 30,
        "termination_grace": pod["terminationGracePeriodSeconds"],
        "webhook_timeout": webhook["timeoutSeconds"],
        "workloads_timeout": workloads["timeoutSeconds"],
        "pre_stop": int(re.findall(r"sleep\((\d+)\)", container["lifecycle"]["preStop"]["exec"]["command"][-1])[0]),
        "liveness": (probe.get("failureThreshold", 3) - 1) * probe["periodSeconds"],
        **{
            module.__name__.partition(".")[0]: SimpleNamespace(**vars(module))
            for module in (server.deadlines, sidecar.deadlines, injector.deadlines, podrole.deadlines)
        },
    }


NAMES = read_names()


@pytest.mark.parametrize("one", ALL_SUMS, ids=[one.waits for one in ALL_SUMS])
def test_waits_fit_into_the_wait_around_them(one: Sum) -> None:
    inner, outer = (eval(text.strip("`"), {"__builtins__": {}}, NAMES) for text in (one.waits, one.within))

    assert inner <= outer


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import subprocess\nsubprocess.run(['a'])", id="program"),
        pytest.param("event.wait()", id="event"),
        pytest.param("thread.join()", id="thread"),
        pytest.param("queue.get()", id="queue"),
        pytest.param("selector.select()", id="selector"),
        pytest.param("lock.acquire()", id="acquired lock"),
        pytest.param("with self._lock:\n    pass", id="lock"),
        pytest.param("os.waitpid(1, 0)", id="process"),
        pytest.param("socket.getaddrinfo('a', 1)", id="name"),
        pytest.param("socket.create_connection(('a', 1))", id="connection"),
        pytest.param("connection.settimeout(None)", id="timeout of a socket switched off"),
        pytest.param("fcntl.flock(file, fcntl.LOCK_EX)", id="file lock"),
        pytest.param("self._pool.request('GET', url)", id="request of urllib3"),
    ],
)
def test_call_that_can_wait_for_ever_is_found(code: str) -> None:
    assert len(list(find_unlimited("a.py", ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("time.sleep(1)", id="sleep"),
        pytest.param("event.wait(0.5)", id="event"),
        pytest.param("thread.join(timeout=0.1)", id="keyword"),
        pytest.param("Timeout(connect=c, read=2)\nf(timeout_seconds=3)", id="argument in seconds"),
        pytest.param("class A:\n    read_seconds: float = 2.5", id="field"),
        pytest.param("def f(timeout_seconds=5): pass", id="default"),
        pytest.param("def f(*, timeout=5): pass", id="keyword-only default"),
        pytest.param("WAIT_SECONDS = 2 * 60", id="constant"),
    ],
)
def test_limit_that_is_a_number_is_found(code: str) -> None:
    assert len(list(find_numbers("a.py", ast.parse(code)))) == 1


def test_socket_without_a_timeout_is_found() -> None:
    code = "def f():\n    socket.socket().connect(address)"

    assert list(find_sockets("a.py", ast.parse(code))) == [Wait("a.py", "f", "socket.socket")]
