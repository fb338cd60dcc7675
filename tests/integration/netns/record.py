"""`record.py ADDRESS PORT` accepts TCP connections and prints `ready`, then what each client sends."""

import socketserver
import sys


class Recorder(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(4096):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            if b"Token=" in data:
                return


with socketserver.ThreadingTCPServer((sys.argv[1], int(sys.argv[2])), Recorder) as server:
    server.daemon_threads = True
    sys.stdout.buffer.write(b"ready\n")
    sys.stdout.buffer.flush()
    server.serve_forever()
