"""Prints, for each ADDRESS:PORT, the role that a metadata service there lists, or why none is to be had."""

import http.client
import sys

ROLES = "/latest/meta-data/iam/security-credentials/"
TIMEOUT_SECONDS = 3


def ask(endpoint: str) -> str:
    """Ask as the oldest SDKs do: one GET, no token."""
    address, _, port = endpoint.rpartition(":")
    connection = http.client.HTTPConnection(address.strip("[]"), int(port), timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", ROLES)
        return connection.getresponse().read().decode() or "nothing"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    finally:
        connection.close()


for endpoint in sys.argv[1:]:
    print(endpoint, ask(endpoint), sep="\t")
