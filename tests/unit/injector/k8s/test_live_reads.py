"""The limits of waiting reviews, and which of them share a read."""

import threading
from collections.abc import Iterator

import pytest

from injector.errors import ClusterError, TooManyReadsError, UnreachableError
from injector.k8s.live_reads import (
    MAX_KNOWN,
    MAX_PER_NAMESPACE,
    MAX_SHARED,
    MAX_UNKNOWN,
    MAX_WORKLOADS,
    Gate,
    SharedReads,
    WorkloadGate,
)
from injector.k8s.objects import Metadata

FOUND = Metadata({}, {"iam.amazonaws.com/role": "reader"})


def fill(gate: Gate, *, is_known: bool) -> None:
    """Enter reviews of as many namespaces until the limit of all together is reached."""
    for number in range(MAX_KNOWN if is_known else MAX_UNKNOWN):
        gate.enter(f"team-{number}", is_known=is_known)


def test_reviews_of_unknown_namespaces_beyond_the_limit_are_refused() -> None:
    refused: list[str] = []
    gate = Gate(refused.append)
    fill(gate, is_known=False)

    with pytest.raises(TooManyReadsError, match="4 pods of namespaces that podrole does not know yet wait"):
        gate.enter("other", is_known=False)
    assert refused == ["unknown"]


def test_one_namespace_cannot_have_all_places() -> None:
    refused: list[str] = []
    gate = Gate(refused.append)
    for _ in range(MAX_PER_NAMESPACE):
        gate.enter("team-a", is_known=True)

    with pytest.raises(TooManyReadsError, match="32 pods of this namespace wait"):
        gate.enter("team-a", is_known=True)
    assert refused == ["namespace"]
    gate.enter("team-b", is_known=True)


def test_reviews_of_known_namespaces_beyond_the_limit_are_refused() -> None:
    refused: list[str] = []
    gate = Gate(refused.append)
    fill(gate, is_known=True)

    with pytest.raises(TooManyReadsError, match="64 pods wait"):
        gate.enter("other", is_known=True)
    assert refused == ["known"]


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
def test_full_class_leaves_the_places_of_the_other_one(*, is_known: bool) -> None:
    gate = Gate(lambda _limit: None)
    fill(gate, is_known=is_known)

    gate.enter("other", is_known=not is_known)


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "unknown"])
def test_review_that_leaves_makes_room_for_another(*, is_known: bool) -> None:
    gate = Gate(lambda _limit: None)
    for _ in range(1000):
        gate.enter("team-a", is_known=is_known)()


class Api:
    """Answers reads when the test lets it."""

    def __init__(self) -> None:
        self.answer: Metadata | None = FOUND
        self.sent = 0
        self.began, self.may_end = threading.Event(), threading.Event()

    def read(self) -> Metadata | None:
        self.sent += 1
        answer = self.answer
        self.began.set()
        assert self.may_end.wait(10)
        return answer


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()
    yield made
    made.may_end.set()


def read_in_thread(reads: SharedReads, api: Api, asked_at: float, answers: list[Metadata | None]) -> threading.Thread:
    thread = threading.Thread(target=lambda: answers.append(reads.read("a", asked_at, api.read)))
    thread.start()
    return thread


def test_reviews_that_arrived_before_a_read_was_sent_share_it(api: Api) -> None:
    clock = [5.0]
    reads = SharedReads(lambda: clock[0])
    answers: list[Metadata | None] = []
    threads = [read_in_thread(reads, api, 4.0, answers)]
    assert api.began.wait(10)
    threads += [read_in_thread(reads, api, 4.0, answers) for _ in range(10)]
    api.may_end.set()
    for thread in threads:
        thread.join()

    assert answers == [FOUND] * 11
    assert reads.read("a", 4.9, api.read) == FOUND
    assert api.sent == 1


@pytest.mark.parametrize("asked_at", [5.0, 5.1], ids=["same-moment", "later"])
def test_review_that_arrived_after_a_read_was_sent_never_gets_its_absence(api: Api, asked_at: float) -> None:
    clock = [5.0]
    reads = SharedReads(lambda: clock[0])
    api.answer = None
    api.may_end.set()
    assert reads.read("a", 4.0, api.read) is None

    api.answer = FOUND  # created in between
    clock[0] = 5.2

    assert reads.read("a", asked_at, api.read) == FOUND
    assert api.sent == 2


def test_objects_do_not_share_reads(api: Api) -> None:
    reads = SharedReads(lambda: 5.0)
    api.may_end.set()

    reads.read("a", 4.0, api.read)
    reads.read("b", 4.0, api.read)

    assert api.sent == 2


def test_review_waits_for_the_read_of_another_one_in_bounded_time(api: Api) -> None:
    reads = SharedReads(lambda: 5.0)
    thread = read_in_thread(reads, api, 4.0, [])
    assert api.began.wait(10)

    with pytest.raises(UnreachableError, match="cannot get a: the read of another review takes too long"):
        reads.read("a", 4.0, api.read, timeout_seconds=0.05)

    api.may_end.set()
    thread.join()
    assert api.sent == 1


def test_error_is_raised_for_all_who_share_the_read() -> None:
    reads = SharedReads(lambda: 5.0)

    def fail() -> Metadata | None:
        raise ClusterError("timed out")

    for _ in range(2):
        with pytest.raises(ClusterError, match="timed out"):
            reads.read("a", 4.0, fail)


def test_only_the_latest_reads_are_remembered(api: Api) -> None:
    reads = SharedReads(lambda: 5.0)
    api.may_end.set()
    for number in range(MAX_SHARED + 1):
        reads.read(str(number), 4.0, api.read)

    reads.read(str(MAX_SHARED), 4.0, api.read)
    assert api.sent == MAX_SHARED + 1
    reads.read("0", 4.0, api.read)
    assert api.sent == MAX_SHARED + 2


def test_reviews_of_workloads_beyond_the_limit_do_not_wait() -> None:
    gate = WorkloadGate()
    entered = [gate.enter(f"team-{number}") for number in range(MAX_WORKLOADS)]

    assert all(entered)
    assert gate.enter("other") is None


def test_one_namespace_cannot_have_all_places_of_workloads() -> None:
    gate = WorkloadGate()
    gate.enter("team-a")

    assert gate.enter("team-a") is None
    assert gate.enter("team-b")


def test_review_of_a_workload_that_leaves_makes_room_for_another() -> None:
    gate = WorkloadGate()
    leave = gate.enter("team-a")
    assert leave

    leave()

    assert gate.enter("team-a")
