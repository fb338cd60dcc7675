"""The HTTP server of both processes: one event loop for all clients, so that no client blocks another.

`loop` runs `connection`s; `parser` (llhttp) is the only judge of where a request ends; `messages` is what handlers see.
`wsgi` adapts a WSGI app, `gunicorn_worker` runs the loop under gunicorn. Imports neither `injector` nor `sidecar`.
"""
