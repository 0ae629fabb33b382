"""What is counted of AI: attempts at providers, what they used, and hours of them that are sealed. No prompt, no completion."""
