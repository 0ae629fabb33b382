"""List prices: the public list's, and over them those of a file of our own."""
