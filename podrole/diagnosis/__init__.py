"""From objects that were read to findings about a pod or a cluster. Pure: nothing here talks to a cluster."""
