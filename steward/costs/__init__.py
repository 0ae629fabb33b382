"""What AI providers bill held against what the ledger has: prices, causes, statements. Plain functions over plain values."""
