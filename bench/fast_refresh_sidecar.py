"""A sidecar that refreshes without the usual delay, so that twenty refreshes take seconds. Used to measure memory."""

from sidecar.__main__ import main
from sidecar.credentials import schedule

SOONEST_SECONDS = 0.2

if __name__ == "__main__":
    vars(schedule)["MIN_REFRESH_SECONDS"] = SOONEST_SECONDS
    main()
