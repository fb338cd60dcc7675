"""The workloads of a cluster or of manifests, and what the webhook decides about them. Pure."""
