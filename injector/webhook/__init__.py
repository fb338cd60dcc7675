"""HTTP endpoints: webhook, health, readiness, metrics, decision log. May import every other package of `injector`."""
