"""The gunicorn worker of both processes: no client can keep another one waiting.

gunicorn's own workers give a thread to a connection, so a client that opens some and sends nothing takes all of them.
Here one loop collects what clients send, without ever waiting for any of them, and an app sees only requests that have
arrived whole. Its answer leaves in one piece. Nothing here knows what is served.
"""
