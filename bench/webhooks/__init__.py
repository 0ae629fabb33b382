"""What the webhooks are worth, on real servers: `python -m bench.webhooks`."""
