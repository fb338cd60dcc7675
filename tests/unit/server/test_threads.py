import sys
import threading
from collections.abc import Iterator

import pytest

from server.background import ThreadLimitError
from server.threads import ThreadPool


def create_pool(max_threads: int, max_waiting: int) -> ThreadPool:
    return ThreadPool(max_threads, max_waiting, lambda *_: None)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Tasks wait for it; it opens at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


def test_tasks_beyond_threads_and_queue_are_refused(gate: threading.Event) -> None:
    pool = create_pool(2, 3)

    accepted = [pool.submit(gate.wait) for _ in range(8)]

    assert accepted == [True] * 5 + [False] * 3


def test_finished_task_makes_room_for_another(gate: threading.Event) -> None:
    pool, done = create_pool(1, 0), threading.Event()
    assert pool.submit(done.set)
    assert done.wait(10)

    refused = pool.submit(gate.wait)
    pool.finished()

    assert not refused
    assert pool.submit(gate.wait)


def test_threads_start_on_demand_and_are_reused() -> None:
    pool, done = create_pool(4, 4), threading.Event()
    names = set()

    def note_thread() -> None:
        names.add(threading.get_ident())
        done.set()

    for _ in range(20):
        done.clear()
        pool.submit(note_thread)
        assert done.wait(10)
        pool.finished()

    assert len(names) == 1


def refuse_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a limit of processes. A real limit is tested with the server as a process."""

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


def test_task_is_refused_if_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    reports: list[tuple[str, int, BaseException]] = []
    pool, ran = ThreadPool(2, 2, lambda *report: reports.append(report)), threading.Event()
    with monkeypatch.context() as limited:
        refuse_threads(limited)
        assert not pool.submit(lambda: None)

    [(name, _, error)] = reports
    assert (name, type(error), str(error.__cause__)) == ("request", ThreadLimitError, "can't start new thread")
    assert pool.submit(ran.set)
    assert ran.wait(10)


def test_existing_threads_do_the_work_if_no_further_one_can_be_started(
    monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    pool, ran = create_pool(2, 2), threading.Event()
    assert pool.submit(gate.wait)
    refuse_threads(monkeypatch)

    accepted = pool.submit(ran.set)
    gate.set()

    assert accepted
    assert ran.wait(10)


def test_thread_whose_task_fails_runs_the_next_one() -> None:
    reports: list[tuple[str, int, BaseException]] = []
    pool, ran = ThreadPool(1, 2, lambda *report: reports.append(report)), threading.Event()

    assert pool.submit(lambda: sys.exit(1))
    assert pool.submit(ran.set)

    assert ran.wait(10)
    [(name, count, error)] = reports
    assert (name, count, type(error)) == ("request", 1, SystemExit)
