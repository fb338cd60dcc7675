"""When a failed attempt is repeated at once. tenacity, which signed calls use, costs 50 ms to import."""

import os
import time
from collections.abc import Callable

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure
from sidecar.deadlines import STS_FIRST_RETRY_SECONDS, STS_LONGEST_RETRY_SECONDS
from sidecar.sts.errors import RETRY_ONCE_CODES

Sleep = Callable[[float], None]


def call_with_retries(
    call: Callable[[], Credentials | Failure],
    attempts: int,
    sleep: Sleep = time.sleep,
    jitter: Callable[[], float] | None = None,
) -> Credentials | Failure:
    """Call until the outcome is final or the attempts are used up; return the last outcome."""
    number = 1
    while should_retry(outcome := call(), number) and number < attempts:
        sleep(wait_seconds(number, (jitter or random_share)()))
        number += 1
    return outcome


def should_retry(outcome: Credentials | Failure, number: int) -> bool:
    """Whether another attempt may succeed within seconds. `number`: of this attempt, from 1."""
    if not isinstance(outcome, Failure):
        return False
    return not outcome.is_permanent or (outcome.code in RETRY_ONCE_CODES and number == 1)


def wait_seconds(number: int, jitter: float) -> float:
    """The wait after an attempt; `jitter` is a random number from 0 to 1."""
    return min(STS_FIRST_RETRY_SECONDS * 2.0 ** (number - 1) + jitter, STS_LONGEST_RETRY_SECONDS)


def random_share() -> float:
    """Return a random number from 0 to 1. The module random would cost 2 ms."""
    return int.from_bytes(os.urandom(2), "big") / 0xFFFF
