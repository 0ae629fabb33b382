"""Where a process that rotates or erases keys can be met, and how it stops itself there: in the midst of its own work.

Installed by the drill in the processes that it starts, before their flow begins; what is drilled has none of it.
"""

import functools
import os
import threading
from dataclasses import dataclass, replace

from steward.clients import erasures
from steward.clients.encrypted_rows import EncryptedRows
from steward.clients.key_sweeps import KeySweeps
from steward.clients.keyring import KeyringClient
from steward.clients.keyring_rotation import RotatingKeyring
from steward.clients.keyvault_journal import JournaledVault
from steward.clients.keyvault_versions import VersionedKeys
from steward.evidence import log, sealing, store
from steward.evidence.anchors import Anchors
from steward.keys.actions import action_of
from steward.operations import claims
from tasks import durable

#: Around a step: before its intent, then before its effect, before its record, and after it.
STEP_POINTS = ("asked", "begun", "unrecorded", "recorded")
#: Around an effect; `during` is some milliseconds after its begin.
EFFECT_POINTS = ("before", "during", "after")
#: The point of whoever is met at the nth place that it comes by, whichever that is.
ANYWHERE = "anywhere"


@dataclass(frozen=True)
class Stop:
    """A process that comes by *point* for the *nth* time sends itself *signal*."""

    point: str
    signal: int
    nth: int = 1
    delay_seconds: float = 0.0


#: What changes something on a server, by its name: whose it is, and the function that does it.
EFFECTS = {
    "version's making": (VersionedKeys, "_make"),
    "golden row": (EncryptedRows, "insert"),
    "golden write's intent": (KeySweeps, "next_write"),
    "golden write": (EncryptedRows, "overwrite"),
    "golden write's acknowledgement": (KeySweeps, "write_is_acknowledged"),
    "wrap": (RotatingKeyring, "keep_wrap"),
    "master key": (KeyringClient, "_new_key"),
    "generation": (KeyringClient, "add_generation"),
    "switch": (KeyringClient, "switch"),
    "batch": (EncryptedRows, "replace"),
    "part's record": (KeySweeps, "part_is_done"),
    "retirement": (KeyringClient, "retire"),
    "destruction": (KeyringClient, "destroy"),
    "old wraps' removal": (RotatingKeyring, "drop_wraps"),
    "version's disabling": (VersionedKeys, "disable_version"),
    "entry of the erasure": (erasures, "note_erasure"),
    "erasure": (KeyringClient, "erase"),
    "entry of its end": (erasures, "note_erased"),
    "statement's row": (store, "_append"),
    "statement's object": (store, "_lock"),
    "checkpoint's signature": (sealing, "sign_checkpoint"),
    "checkpoint's row": (log, "keep_checkpoint"),
    "leaves' anchor": (Anchors, "put_leaves"),
    "checkpoint's anchor": (Anchors, "put_checkpoint"),
    "conclusion": (claims, "conclude"),
}
#: Beside those: the vault's answer to a call that was announced, which must not be missed.
VERSION = "new version"


class Meeting:
    """Counts what this process comes by, and stops it where it is to be stopped."""

    def __init__(self, stop: Stop) -> None:
        self._stop, self._met, self._lock = stop, 0, threading.Lock()

    def come_by(self, *points):
        """This process is at all of *points*."""
        if self._stop.point not in (*points, ANYWHERE):
            return
        with self._lock:
            self._met += 1
            if self._met != self._stop.nth:
                return
        if self._stop.delay_seconds:
            threading.Timer(self._stop.delay_seconds, self._strike).start()
        else:
            self._strike()

    def _strike(self):
        os.kill(os.getpid(), self._stop.signal)


def install(stop):
    """Let this process stop itself as *stop* says."""
    meeting = Meeting(stop)
    durable.run_step = _stepping(meeting, durable.run_step)
    for name, (owner, attribute) in EFFECTS.items():
        setattr(owner, attribute, _around(meeting, name, getattr(owner, attribute)))
    JournaledVault._announce = _announcing(meeting, JournaledVault._announce)


def _stepping(meeting, run_step):
    @functools.wraps(run_step)
    def met(step):
        def body():
            meeting.come_by(f"{step} begun")
            result = step.body()
            meeting.come_by(f"{step} unrecorded")
            return result

        meeting.come_by(f"{step} asked")
        result = run_step(replace(step, body=body))
        meeting.come_by(f"{step} recorded")
        return result

    return met


def _around(meeting, name, effect):
    @functools.wraps(effect)
    def met(*args, **kwargs):
        meeting.come_by(f"before {name}", f"during {name}")
        result = effect(*args, **kwargs)
        meeting.come_by(f"after {name}")
        return result

    return met


def _announcing(meeting, announce):
    @functools.wraps(announce)
    def met(self, method, url):
        request_id = announce(self, method, url)
        if action_of(method, url).operation == "KeyCreate":
            meeting.come_by(f"before {VERSION}", f"during {VERSION}")
        return request_id

    return met
