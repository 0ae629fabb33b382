"""What a reconciliation finds of causes that were planted, and how long it takes for months of 1, 3 and 10 million attempts."""
