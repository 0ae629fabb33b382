"""The histories of Steward's database and of the keyring: plain SQL revisions, applied by `python -m steward migrate`."""
