"""What can go wrong with the replica, told so that it can be mended."""

from __future__ import annotations

from pathlib import Path

from steward.errors import BadInput, StewardError


class PortTaken(StewardError):
    """Another process listens where a server of the replica should."""

    def __init__(self, server: str, port: int, holder: str) -> None:
        super().__init__(
            f"port {port} of {server} is taken by {holder}",
            hint="end that process, or choose new ports: python -m replica down && python -m replica up --new-ports",
        )
        self.server, self.port, self.holder = server, port, holder


class NoFreePort(StewardError):
    """Replicas have chosen all that there are, or others listen on them."""

    def __init__(self, wanted: int, span: tuple[int, int], claimed: int, claims: Path) -> None:
        super().__init__(
            f"looked for {wanted} ports from {span[0]} to {span[1]}: replicas keep {claimed} of them, others listen on the rest",
            hint=f"remove replicas that nobody needs: python -m replica clean --state FOLDER; {claims} names their folders",
        )


class DidNotStart(StewardError):
    """A server ended or stayed unready; the message holds its own last words."""

    def __init__(self, server: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{server} did not start: {reason}", hint=hint or f"python -m replica logs {server}")
        self.server, self.reason = server, reason


class NotRunning(StewardError):
    """What was asked for needs a running replica or server."""


class KeeperFailed(StewardError):
    """The supervisor itself did not start, does not answer, or does not do what it was told."""


class ForeignTarget(BadInput):
    """A fault was aimed at something that is not this replica's own; nothing has been touched."""


class NotAReplica(BadInput):
    """A folder is not the state of a replica, so it is not used or removed as one."""
