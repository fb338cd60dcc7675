"""`name_destinations.py PORT` answers each request with where its client connected to, as the sidecar sees it.

It is the sidecar's server with another handler.
"""

import sys

from server.listener import Service
from server.loop import Loop
from server.messages import Request, Response
from server.settings import Settings
from sidecar.listeners import bind_loopback
from sidecar.original_destination import find_original_destination


def answer(request: Request) -> Response:
    address, port = request.server
    return Response(200, f"{address} {port}".encode())


services = dict.fromkeys(
    bind_loopback(int(sys.argv[1])), Service(answer, 0, find_destination=find_original_destination)
)
loop = Loop(services, Settings(), lambda reason, _count, detail: sys.exit(f"{reason}: {detail}"))
sys.stdout.write("ready\n")
sys.stdout.flush()
loop.run()
