"""What a delivery of a webhook is, whether it is genuine, and what it starts: decisions over plain values."""
