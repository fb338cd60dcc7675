"""The sidecar: exchanges the pod's own token for the role's credentials and serves them on the pod's loopback only."""
