"""What the endpoints read and count."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from server.clocks import read_boottime
from server.log_limit import LogLimit
from sidecar.config import Config
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure, State
from sidecar.endpoints.counters import create_counters

if TYPE_CHECKING:
    from sidecar.reachability.measurement import Measurement


class EndpointState:
    """The configuration, the current credentials, the key of the tokens, and the counters."""

    def __init__(
        self,
        config: Config,
        read_state: Callable[[], State],
        token_key: bytes,
        boot_id: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self.read_state = read_state
        self.token_key = token_key
        self.boot_id = boot_id
        """Random for each process: the redirect's self-check verifies that it reached this process. Not a secret."""

        self.clock = clock
        self.token_clock: Callable[[], float] = read_boottime
        """Measures the lifetime of tokens: nobody sets it."""

        self.read_measurement: Callable[[], Measurement | None] = lambda: None
        """The last measurement of the node's metadata service; None in redirect mode, and before the first one."""

        self.read_state_file_error: Callable[[], str | None] = lambda: None
        """Why the newest state is not in the state file; None if it is."""

        self.counters = create_counters()
        self.rejection_log = LogLimit()

    def servable(self) -> Credentials | Failure | None:
        """Return what clients get at this moment."""
        return self.read_state().servable(self.clock())

    def is_serving(self) -> bool:
        """Whether clients get credentials at this moment."""
        return isinstance(self.servable(), Credentials)

    def expires_at(self) -> float:
        """When the credentials expire, by this machine's clock; 0 without credentials."""
        credentials = self.read_state().credentials
        return credentials.ends_at if credentials else 0
