"""A sidecar that replaces short sessions at once, so that twenty refreshes take seconds. Used to measure memory."""

from sidecar.__main__ import main
from sidecar.credentials import schedule
from sidecar.credentials.credentials import Credentials

SHORT_SECONDS = 900
"""STS grants no session that is shorter, except to a benchmark."""

SOONEST_SECONDS = 0.2

state_with = schedule.state_with


def replace_short_sessions(credentials: Credentials, jitter: float) -> schedule.State:
    """Schedule the next refresh as the sidecar does, or SOONEST_SECONDS after a short session."""
    state = state_with(credentials, jitter)
    is_short = credentials.ends_at - credentials.obtained_at < SHORT_SECONDS
    return state._replace(refresh_at=credentials.obtained_at + SOONEST_SECONDS) if is_short else state


if __name__ == "__main__":
    vars(schedule)["state_with"] = replace_short_sessions
    main()
