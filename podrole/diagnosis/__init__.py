"""Findings about a pod or a cluster, from the state that was read. Pure; may import `injector` except its clients."""
