"""The pod's credentials: their refresh schedule, refresher thread and state file. Imports no other package."""
