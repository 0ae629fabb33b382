"""Feature flags as applications and flows see them: model, flagd documents, buckets and what may change."""
