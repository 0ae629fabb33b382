"""What goes wrong with Redis, in words: what waiting may cure, and what a person has to."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from redis import exceptions

from steward.errors import BadInput, StewardError, Unavailable

_PASSING = (
    exceptions.ClusterError,
    exceptions.ConnectionError,
    exceptions.ReadOnlyError,
    exceptions.TimeoutError,
    exceptions.SlotNotCoveredError,
    exceptions.TryAgainError,
    OSError,
)
_REFUSED = (
    exceptions.AuthenticationError,
    exceptions.AuthorizationError,
    exceptions.AuthenticationWrongNumberOfArgsError,
)
_FULL = "maxmemory"
# Its client's own words, of a class that it also has for mistakes.
_NOBODY = ("Redis Cluster cannot be connected", "No targets were found")


class RedisUnavailable(Unavailable):
    """Redis does not answer, or cannot now: a master is being replaced, a replica loads its data, the memory is full."""


class RedisRefused(BadInput):
    """Redis answers, and refuses this user, this command, these keys or this certificate."""


class RedisCommandFailed(StewardError):
    """Redis carried a command out and it failed: a mistake in the command, or a function that is not loaded."""

    def __init__(self, message: str, answer: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.answer = answer
        """Redis's own words."""


@dataclass(frozen=True)
class Asked:
    """Who asks whom, for the words of an error."""

    hosts: str
    user: str

    def words(self, error: Exception) -> StewardError:
        """*error* of redis-py as one of the three above. To be raised `from None`: some of them hold the connection."""
        root = _root(error)
        said = str(root)
        if isinstance(root, _REFUSED):
            return RedisRefused(
                f"Redis at {self.hosts} refuses user {self.user}: {said}",
                hint="check redis.users in the settings, and the users.acl that the servers read",
            )
        if isinstance(root, exceptions.NoPermissionError) or "can't run this command" in said:
            return RedisRefused(
                f"Redis at {self.hosts} refuses user {self.user}: {said}",
                hint="is it the right user for this? what each may do stands in docs/redis.md",
            )
        return self._no_refusal(root, said)

    def _no_refusal(self, root: Exception, said: str) -> StewardError:
        if "CERTIFICATE_VERIFY_FAILED" in said:
            return RedisRefused(
                f"Redis at {self.hosts}: its certificate is not trusted",
                hint="let redis.ca_file name the CA that signed it",
            )
        if isinstance(root, exceptions.OutOfMemoryError) or _FULL in said:
            return RedisUnavailable(
                f"Redis at {self.hosts} is full and takes no writes", hint="raise maxmemory, or see what fills it"
            )
        if isinstance(root, _PASSING) or said.startswith(_NOBODY):
            return RedisUnavailable(
                f"Redis at {self.hosts} does not answer: {said or type(root).__name__}",
                hint="a master that is lost is replaced within seconds; see CLUSTER INFO and the servers' logs",
            )
        return RedisCommandFailed(f"Redis at {self.hosts} answers user {self.user}: {said}", said)

    @contextmanager
    def in_words(self) -> Generator[None]:
        """Whatever redis-py raises in the block comes out in words; anything else as it is."""
        try:
            yield
        except (exceptions.RedisError, exceptions.RedisClusterException) as error:
            raise self.words(error) from None


def _root(error: Exception) -> Exception:
    """What kept the client from finding the cluster lies beneath an error that says no more than that."""
    while isinstance(error, exceptions.RedisClusterException):
        beneath = error.__cause__ or error.__context__
        if not isinstance(beneath, (exceptions.RedisError, exceptions.RedisClusterException, OSError)):
            break
        error = beneath
    return error
