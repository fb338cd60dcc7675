"""The time that all replicas go by: the API server's, which decides what certificates it accepts."""

from collections.abc import Callable

from injector.certs.x509 import DAY_SECONDS

MAX_SKEW_SECONDS = 300
"""Between this replica's clock and the API server's. Certificates are valid from 5 minutes before their issue, so up to
here a certificate that either clock dates is valid by the other one. Clocks that NTP keeps differ by milliseconds."""

SAME_SKEW = 60
"""Seconds between two skews that are described by the same sentence, so that it is logged once."""


class ClusterClock:
    """The API server's time, or our own while it is unknown, and whether both agree."""

    def __init__(self, own: Callable[[], float], server: Callable[[], float | None]) -> None:
        """Both return seconds since the epoch; `server` None as long as the API server has sent no date."""
        self._own = own
        self._server = server
        self._problem = ""
        self._described_skew = 0.0
        self._lasts = False

    @property
    def is_server_time(self) -> bool:
        """Whether `now` is the API server's time."""
        return self._server() is not None

    def now(self) -> float:
        """Seconds since the epoch."""
        server = self._server()
        return self._own() if server is None else server

    def skew(self) -> float | None:
        """How many seconds our clock is ahead of the API server's; None while its time is unknown."""
        server = self._server()
        return None if server is None else self._own() - server

    def is_right(self) -> bool:
        """Whether our clock agrees with the API server's, or cannot be compared with it."""
        return abs(self.skew() or 0.0) <= MAX_SKEW_SECONDS

    def describe_problem(self) -> str:
        """Why this replica must not write; the same sentence while that lasts, and empty if it may write."""
        if self.is_right():
            self._lasts = False
            return ""
        skew = self.skew() or 0.0
        # Where the clocks of several API servers differ, it ends and begins again with each answer.
        if not self._lasts and abs(skew - self._described_skew) > SAME_SKEW:
            self._described_skew = skew
            direction = "ahead of" if skew > 0 else "behind"
            self._problem = (
                f"the clock of this node is {_format(abs(skew))} {direction} the API server's: until both agree, this"
                " replica is not ready and changes neither the Secret nor the caBundle. Check both clocks"
            )
        self._lasts = True
        return self._problem


def _format(seconds: float) -> str:
    return f"{seconds / DAY_SECONDS:.0f} days" if seconds >= 2 * DAY_SECONDS else f"{seconds:.0f} s"
