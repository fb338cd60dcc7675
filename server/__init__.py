"""The HTTP server of both processes, a gunicorn worker: a slow client cannot block other clients.

gunicorn's own workers use one thread per connection, so a client that opens connections and sends nothing blocks all
threads. Here one event loop reads from all clients with non-blocking sockets and passes only complete requests to the
app; a response is sent in one piece.
"""
