"""Rules of webhooks, as they are shipped."""
