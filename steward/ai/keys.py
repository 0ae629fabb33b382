"""Keys of accounts at providers: by what they may be told apart, how long one is used, and who may have made it."""

from __future__ import annotations

import hashlib
import re

from pydantic import BaseModel, ConfigDict

#: How long a key that was replaced may still be used by a worker of the gateway.
REFRESH_SECONDS = 10.0
#: Longer than it takes from choosing a key to the ledger's answer that the attempt is entered: 5 s for the limiter at the most,
#: and 5 s for the ledger. For so long a worker that has a new key does not tell of it yet, so that an attempt under the old
#: one is in the ledger before anybody believes that there is none.
ENTERING_SECONDS = 20.0
#: How long a version of the secret is to be in use: what the shipped policy of audit-keys takes for providers' keys.
LIFE_DAYS = 90
#: After which a key that is made ends by itself, if nobody rotates it: audit-keys has told of it daily for six weeks by then.
MOST_DAYS = 120

_HINT = re.compile(r"(?P<head>[^.*…]*)(?:\.{2,}|\*+|…)(?P<tail>[^.*…]*)")
_TRY = re.compile("[0-9]+-[0-9]+")
#: Fewer characters than these would fit keys by chance.
_LEAST_TAIL = 4


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProviderKey(_Frozen):
    """A key as its provider lists it: never the key."""

    id: str
    name: str
    hint: str
    """Its beginning and its end, as the provider shows them."""
    is_active: bool
    owner: str = ""
    """The service account that it is the key of, where it is one's."""
    project: str = ""


def version_of(secret: str) -> str:
    """A name for a key that gives nothing of it away: providers' keys are random and long."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


def is_hint_of(hint: str, secret: str) -> bool | None:
    """Whether a provider could show *hint* (`sk-svc...Ab3d`) for *secret*; None: the hint says too little."""
    parts = _HINT.fullmatch(hint)
    if parts is None or len(parts["tail"]) < _LEAST_TAIL:
        return None
    return secret.startswith(parts["head"]) and secret.endswith(parts["tail"])


def prefix_of(installation: str, account: str) -> str:
    """With what the names of all keys begin that this installation ever makes for *account*.

    Another installation may make keys in the same project: it must not find these among its own.
    """
    return f"steward-{installation[:8]}-{account}-"


def is_made_under(prefix: str, name: str) -> bool:
    """Whether *name* is *prefix* and a try's two numbers: the prefix of another account may begin with this one's."""
    return name.startswith(prefix) and _TRY.fullmatch(name, len(prefix)) is not None
