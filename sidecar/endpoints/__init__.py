"""The HTTP endpoints: IMDS, ECS, status, metrics. May import `credentials` and `server`; they never call STS."""
