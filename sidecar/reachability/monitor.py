"""Measures the node's metadata service at the start and every hour, and keeps the last result."""

import math
from collections.abc import Callable, Mapping

from server.descriptors import explain_refusal
from sidecar.credentials.clocks import SYSTEM, Clocks
from sidecar.credentials.refresher import draw_jitter
from sidecar.deadlines import MEASUREMENT_INTERVAL_SECONDS
from sidecar.log import emit
from sidecar.reachability.measurement import Access, Measurement, measure

JITTER_SHARE = 0.1
"""Each measurement comes up to this share of the interval early, so that the pods of a node spread out."""


class NodeMonitor:
    """Holds the last measurement, which other threads read. One thread at a time measures."""

    def __init__(
        self,
        request_all: Callable[[], Mapping[str, Access]] = measure,
        clocks: Clocks = SYSTEM,
        jitter: Callable[[], float] = draw_jitter,
    ) -> None:
        self.last: Measurement | None = None
        self._request_all = request_all
        self._clocks = clocks
        self._jitter = jitter
        self._due_at = math.inf

    def measure(self) -> Measurement:
        """Measure now, and then again every hour; log the first result and each change. Raise OSError if it fails."""
        self._due_at = self._clocks.boottime() + MEASUREMENT_INTERVAL_SECONDS * (1 - JITTER_SHARE * self._jitter())
        measurement = Measurement(self._clocks.realtime(), self._request_all())
        previous, self.last = self.last, measurement
        if previous is None or previous.addresses != measurement.addresses:
            emit("node-metadata", state=measurement.state, detail=measurement.detail)
        return measurement

    def measure_if_due(self) -> None:
        """Measure if an hour has passed since the last time; keep the last result if that fails."""
        if self._clocks.boottime() >= self._due_at:
            self.try_to_measure()

    def try_to_measure(self) -> None:
        """Measure now; if that fails, such as without free sockets, log it and keep the last result."""
        try:
            self.measure()
        except OSError as error:
            emit("node-metadata-not-measured", reason=explain_refusal(error))
