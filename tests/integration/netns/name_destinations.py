"""`name_destinations.py PORT` answers each request with where its client connected to, as the sidecar sees it.

It is the sidecar's server with another handler.
"""

import sys

from server.listener import Service
from server.loop import Loop
from server.messages import Request, Response
from server.settings import Settings
from sidecar.listeners import bind_loopback
from sidecar.original_destination import create_finder


def answer(request: Request) -> Response:
    address, port = request.server
    return Response(200, f"{address} {port}".encode())


services = {
    listener: Service(answer, 0, find_destination=create_finder(listener.family))
    for listener in bind_loopback(int(sys.argv[1]))
}
loop = Loop(services, Settings(), lambda reason, _count, detail: sys.exit(f"{reason}: {detail}"))
sys.stdout.write("ready\n")
sys.stdout.flush()
loop.run()
