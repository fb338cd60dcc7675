"""What the sidecar answers on HTTP: IMDS, ECS and its own status. Reads credentials, never requests them from STS."""
