"""The host that runs an application's releases: what is on each colour, and another release put there."""

from __future__ import annotations

from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal, Self, cast
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from steward.clients.authorities import authorities
from steward.clients.secrets import read_secret
from steward.errors import BadInput, StewardError, Unavailable
from steward.settings import Settings

#: A release is stopped in 12 s and started in 20 s at most.
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)


class HostAway(Unavailable):
    """The application host does not answer, or not as it should."""


class HostRefused(BadInput):
    """The application host answers, and refuses the token or the request."""


class UnknownRelease(BadInput):
    """There is no such release; nothing was touched."""


class OtherRelease(BadInput):
    """Another release goes by this name already, and stays."""


class UnknownColour(BadInput):
    """There is no such colour; nothing was touched."""


class NothingPlaced(BadInput):
    """There is no release on the colour that could be started again."""


class ReleaseDidNotStart(StewardError):
    """The release ended, or answered to nothing, before it served. The colour is empty now."""

    def __init__(self, message: str, words: tuple[str, ...]) -> None:
        said = "\n".join(f"  {line}" for line in words)
        super().__init__(message, hint=f"it said last:\n{said}" if said else "it said nothing")
        self.words = words


class Placed(BaseModel):
    """What is on a colour now."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    colour: str
    url: str
    """Where it is reached past the load balancer."""
    state: Literal["running", "failed", "restarting", "empty"]
    release: str | None = None
    pid: int | None = None
    since: str | None = None
    adopted: bool = False
    healthy: bool | None = None
    """None: nothing runs that could be asked."""
    health: str = ""
    words: tuple[str, ...] = ()
    """Of a release that ended: its last lines, free of secrets."""


class ApplicationHost:
    """Use it in `with`. Every method raises HostAway (transient) and HostRefused. Names the host in all that it raises."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        headers = {"authorization": f"Bearer {token}"}
        self._client = httpx.Client(
            base_url=url, headers=headers, timeout=_TIMEOUT, verify=authorities(), trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def releases(self) -> dict[str, str]:
        """Descriptions of all that may be placed, by name."""
        return {str(name): str(text) for name, text in self._ask("GET", "/releases").items()}

    def take(self, release: str, content: bytes) -> None:
        """*release* may be placed from now on; the same again changes nothing. Raises OtherRelease, HostRefused."""
        self._ask("PUT", f"/releases/{quote(release, safe='')}", content=content)

    def colours(self) -> dict[str, Placed]:
        """What is on each, by its name."""
        return {name: self._placed(told) for name, told in self._ask("GET", "/colours").items()}

    def colour(self, name: str) -> Placed:
        """What is on one. Raises UnknownColour."""
        return self._placed(self._ask("GET", f"/colours/{quote(name, safe='')}"))

    def place(self, colour: str, release: str) -> Placed:
        """*release* answers on *colour*, in place of whatever ran there; already there, it is left alone.

        Not to say that it is healthy. Raises UnknownRelease, UnknownColour, ReleaseDidNotStart.
        """
        return self._placed(self._ask("PUT", f"/colours/{quote(colour, safe='')}", {"release": release}))

    def restart(self, colour: str) -> Placed:
        """The same release in another process. Raises NothingPlaced, UnknownColour, ReleaseDidNotStart."""
        return self._placed(self._ask("POST", f"/colours/{quote(colour, safe='')}/restart"))

    def empty(self, colour: str) -> Placed:
        """Nothing runs there; harmless where nothing did. Raises UnknownColour."""
        return self._placed(self._ask("DELETE", f"/colours/{quote(colour, safe='')}"))

    def _ask(self, method: str, path: str, body: object = None, content: bytes | None = None) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, json=body, content=content)
        except httpx.HTTPError as error:
            # Not chained: the error holds the request, and that the token.
            told = f"the application host at {self.url} does not answer {method} {path}: {type(error).__name__}"
        else:
            told_back = _object(answer)
            if answer.is_success and told_back is not None:
                return told_back
            if answer.is_client_error:
                raise self._refusal(answer.status_code, told_back or {}, f"{method} {path}")
            told = f"the application host at {self.url} answers {method} {path} with {answer.status_code}"
        raise HostAway(told, hint="see whether it runs, and its log; compare url in [application_hosts.…]")

    def _refusal(self, status: int, told: dict[str, Any], asked: str) -> StewardError:
        detail, hint = str(told.get("detail", "")), str(told.get("hint", ""))
        where = f"{detail} (application host at {self.url})"
        match told.get("kind"):
            case "unknown_release" | "other_release" as kind:
                return (UnknownRelease if kind == "unknown_release" else OtherRelease)(where, hint=hint)
            case "unknown_colour":
                return UnknownColour(f"{self.url} has no such colour as {asked.split('/')[2]!r}", hint=detail)
            case "did_not_start":
                return ReleaseDidNotStart(where, tuple(map(str, cast("list[object]", told.get("words") or []))))
            case "nothing_runs":
                return NothingPlaced(where, hint=hint)
            case _ if status == HTTPStatus.UNAUTHORIZED:
                return HostRefused(f"the application host at {self.url} refuses the token", hint=_TOKEN_HINT)
            case _:
                return HostRefused(f"the application host at {self.url} refuses {asked}: {status} {detail}", hint=hint)

    def _placed(self, told: object) -> Placed:
        try:
            return Placed.model_validate(told)
        except ValidationError:
            raise HostAway(
                f"the application host at {self.url} answers with something else than what runs",
                hint="compare url in [application_hosts.…]",
            ) from None


_TOKEN_HINT = "see the secret that token in [application_hosts.…] names"  # noqa: S105  a hint


def open_application_host(settings: Settings, environment: str) -> ApplicationHost:
    """That of *environment*. Raises BadInput where the settings tell of none, and what reading the token raises."""
    told = settings.application_host(environment)
    return ApplicationHost(told.url, read_secret(told.token, settings.vault))


def _object(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        content: object = answer.json()
    except ValueError:
        return None
    return cast("dict[str, Any]", content) if isinstance(content, dict) else None
