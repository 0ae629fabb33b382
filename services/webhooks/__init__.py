"""The receiver of webhooks, which stores deliveries before it answers, and the dispatcher, which begins what they ask for."""
