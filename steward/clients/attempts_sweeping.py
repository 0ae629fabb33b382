"""What nobody will settle any more: attempts of workers that died, and those that are too old for any."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from steward.clients import attempts_sql as sql
from steward.clients.postgres import connect
from steward.settings import Settings

#: Longer than a gateway lets any attempt last. One that ends later all the same settles what is `unknown`.
SENT_SECONDS = 900
#: A ticket dies unsent within seconds.
RESERVED_SECONDS = 60
#: Rows of one transaction: settling workers wait for none of them.
_MOST_ROWS = 5_000


class Swept(BaseModel):
    """How many attempts became what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unknown: int = 0
    aborted: int = 0


def resolve_unknown(
    settings: Settings, *, sent_seconds: float = SENT_SECONDS, reserved_seconds: float = RESERVED_SECONDS
) -> Swept:
    """Make `unknown` what was sent, and `aborted` what was not, of dead workers and of long ago. Twice is harmless.

    A worker is dead that said so, or whose lease ran out. One that is only late finds its attempt `unknown`, and may
    settle it; or finds it `aborted`, and must not send it.
    """
    values = {"sent": f"{sent_seconds} s", "reserved": f"{reserved_seconds} s", "most": _MOST_ROWS}
    states = list[str]()
    while True:
        with connect(settings) as db:
            swept = [state for (state,) in db.execute(sql.SWEEP, values).fetchall()]
        states += swept
        if len(swept) < _MOST_ROWS:
            with connect(settings) as db:
                db.execute(sql.FORGET_WORKERS)
            return Swept(unknown=states.count("unknown"), aborted=states.count("aborted"))
