"""The mutating admission webhook: Pod in, JSON patch out. May import `contract` and `server`."""
