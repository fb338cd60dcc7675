"""The sidecar: exchanges the pod's token for credentials, served on loopback. May import `contract` and `server`."""
