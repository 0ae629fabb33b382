"""What a look at a rollout comes to, in a word. Beside the judge, so that whoever reads the word needs no SciPy."""

from __future__ import annotations

from enum import StrEnum


class Decision(StrEnum):
    """What to do now."""

    GO = "GO"
    """Every metric is proved healthy, and nothing stands against it."""
    HOLD = "HOLD"
    """Neither is proved yet: look again."""
    ROLL_BACK = "ROLL_BACK"
    UNKNOWN = "UNKNOWN"
    """It cannot be judged. Never GO; after a while ROLL_BACK."""
