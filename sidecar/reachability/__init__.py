"""What a process of the pod reaches at the metadata addresses, measured by connections and not inferred from rules."""
