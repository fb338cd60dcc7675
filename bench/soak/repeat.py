"""Repeats something in a thread until the run ends, with random pauses from a seed."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.soak.tally import Tally

PAUSE_SECONDS = (0.5, 4.0)
"""Between two faults."""


@contextmanager
def repeating(act: Callable[[], None], stopping: threading.Event, pause: Callable[[], float]) -> Iterator[None]:
    """Act in a thread, with a pause after each time, until the block ends."""

    def run() -> None:
        while not stopping.wait(pause()):
            act()

    thread = threading.Thread(target=run, name=getattr(act, "__qualname__", "act"))
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


class Faults:
    """Chooses one of several faults by weight."""

    def __init__(self, name: str, seed: str, tally: Tally, stopping: threading.Event) -> None:
        self._name, self._stopping = name, stopping
        self._tally = tally
        self.random = random.Random(seed)  # noqa: S311 - nothing secret

    def draw_pause(self) -> float:
        """Seconds until the next fault."""
        return self.random.uniform(*PAUSE_SECONDS)

    def act(self, kinds: dict[str, tuple[Callable[[], None], float]]) -> None:
        """Choose a fault, count it, and wait until it is over."""
        [kind] = self.random.choices(list(kinds), [weight for _, weight in kinds.values()])
        self._tally.begin_fault(f"{self._name}: {kind}")
        try:
            kinds[kind][0]()
        except Exception as error:  # noqa: BLE001 - a fault that the run could not make must not end the others
            if not self._stopping.is_set():
                self._tally.record_lost("the run itself", f"{self._name}, {kind}: {error!r}")
            return
        self._tally.record_fault(f"{self._name}: {kind}")
