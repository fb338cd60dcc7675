"""The HTTP endpoints: IMDS, ECS, the status, and metrics on their own port. They never call STS."""
