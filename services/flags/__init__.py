"""The flag server: pushes the flags of the store to every SDK as `flagd.sync.v1`, and lets people see and change them."""
