"""What was read from a cluster, for the checks in the other packages. Pure."""
