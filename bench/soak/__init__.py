"""`python -m bench.soak`: the real processes for an hour, with faults at random, while good requests must not fail."""
