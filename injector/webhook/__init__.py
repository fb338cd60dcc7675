"""The HTTP side: app, AdmissionReview, readiness, metrics, decision log. May import every other package."""
