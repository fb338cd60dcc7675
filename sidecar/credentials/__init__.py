"""The pod's credentials: their refresh schedule, the thread that refreshes them, the file that survives a restart."""
