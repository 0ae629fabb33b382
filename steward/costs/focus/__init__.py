"""Bills as rows of FOCUS 1.2."""
