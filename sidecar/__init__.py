"""The sidecar: the pod's own token in, the role's credentials out, on the pod's loopback only."""
