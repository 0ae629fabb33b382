"""The cause of every difference between a day's bill and the ledger."""
