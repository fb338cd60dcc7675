"""The conditions that a replica waits for before it answers reviews, and those of its readiness."""

from collections.abc import Callable


class ReadinessGates:
    """Conditions of readiness. A gate that was open once stays open: a replica repairs a later loss while it serves."""

    def __init__(self) -> None:
        self._closed: dict[str, Callable[[], bool]] = {}
        self._conditions: dict[str, Callable[[], bool]] = {}

    def add(self, description: str, is_open: Callable[[], bool]) -> None:
        """Wait until `is_open` returns True; the description is what /readyz and the 503 response report until then."""
        self._closed[description] = is_open

    def add_condition(self, description: str, is_met: Callable[[], bool]) -> None:
        """Report the description in /readyz whenever `is_met` returns False. Reviews are answered nevertheless."""
        self._conditions[description] = is_met

    def unready(self) -> list[str]:
        """Why the replica should get no more reviews: the closed gates, and conditions that are not met."""
        return self.pending() + [text for text, is_met in self._conditions.items() if not is_met()]

    def pending(self) -> list[str]:
        """The descriptions of the closed gates. Called for each review, so it is fast when none is left."""
        if self._closed:
            self._closed = {text: is_open for text, is_open in self._closed.items() if not is_open()}
        return list(self._closed)
