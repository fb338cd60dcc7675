"""What a replica still waits for before it answers. Nothing here knows what that is."""

from collections.abc import Callable


class ReadinessGates:
    """What this replica still waits for. What was reached once stays reached: a later loss is repaired meanwhile."""

    def __init__(self) -> None:
        self._left: dict[str, Callable[[], bool]] = {}

    def add(self, sentence: str, can_close: Callable[[], bool]) -> None:
        """Wait until it is over; the sentence says what it is."""
        self._left[sentence] = can_close

    def find(self) -> list[str]:
        """The sentences of those that are left. Called for each review: nothing is left, normally."""
        if self._left:
            self._left = {sentence: can_close for sentence, can_close in self._left.items() if not can_close()}
        return list(self._left)
