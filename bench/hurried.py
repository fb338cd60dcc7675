"""A sidecar that may ask STS again at once, so that twenty refreshes take seconds: `python -m bench.hurried`.

All else is the sidecar as it is: what is measured of it is its memory.
"""

from sidecar import refresh
from sidecar.main import main

SOONEST_SECONDS = 0.2

if __name__ == "__main__":
    refresh.REFRESH_SOONEST_SECONDS = SOONEST_SECONDS  # type: ignore[assignment] # a fraction of a second
    main()
