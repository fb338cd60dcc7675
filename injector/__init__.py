"""Pod in, Pod out: a mutating admission webhook over a pure core."""
