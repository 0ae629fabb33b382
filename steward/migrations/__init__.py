"""The one history of Steward's database: plain SQL revisions, applied by `python -m steward migrate`."""
