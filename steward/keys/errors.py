"""What is told of keys and of the rows under them."""

from __future__ import annotations

from steward.errors import BadInput, StewardError


class ColumnsUnusable(BadInput):
    """The file of an application's encrypted columns cannot be read, or does not fit its database."""


class KeyInUse(BadInput):
    """Rows are still under a key that was to be retired or destroyed."""


class ReadersLag(StewardError):
    """Processes have not taken up the keyring's latest change in the time that was given to them.

    Not transient: it has been waited for, as long as was asked, and whoever tries a step again would wait as long again.
    """


class GoldenRowsUnwritten(StewardError):
    """Steward's own rows were not written during a rotation: that no write was lost would be said of none."""


class SweepStuck(StewardError):
    """Rows stay under old keys however often the table is gone through."""
