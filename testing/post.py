"""Posts standard input to an HTTPS server as the API server sends reviews: `post.py HOST PORT PATH CA_FILE`."""

import http.client
import ssl
import sys
import time

HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, */*",
    "User-Agent": "kube-apiserver-admission",
}

host, port, path, ca_file = sys.argv[1:]
context = ssl.create_default_context(cafile=ca_file)
connection = http.client.HTTPSConnection(host, int(port), timeout=5, context=context)
connection.connect()  # the API server keeps its connections, so the measured time starts after the handshake
review = sys.stdin.buffer.read()
asked_at = time.perf_counter()
connection.request("POST", path, body=review, headers=HEADERS)
response = connection.getresponse()
answer = response.read()
print(response.status, f"{time.perf_counter() - asked_at:.6f}", answer.decode(), sep="\n")
connection.close()
