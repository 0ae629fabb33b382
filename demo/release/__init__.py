"""From a push to all users without a hand between: one release that goes the whole way, one that comes back, one that is stopped."""
