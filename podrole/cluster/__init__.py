"""The requests that the commands make to the API server, and what they create there."""
