"""What podrole would change about the workloads of an estate: roles, resources, restarts. Pure."""
