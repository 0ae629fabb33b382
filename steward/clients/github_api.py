"""GitHub as a source of webhooks knows it: asked with its token, or as its App, about one repository."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlsplit

from steward.clients import github_app
from steward.clients.github_asking import Answered, GitHubRefused, exchange
from steward.clients.secrets import read_secret
from steward.errors import BadInput
from steward.settings import GitHubApi, Vault


class GitHub:
    """Every method raises GitHubAway (transient), GitHubRefused, and what reading the secret raises."""

    def __init__(self, api: GitHubApi, vault: Vault | None, seconds: float = 10.0) -> None:
        self._api, self._vault, self._seconds = api, vault, seconds

    def get(self, path: str) -> Any:
        """The JSON at *path* of the repository: `/hooks/1`."""
        return self.ask("GET", self.address(path)).body

    def post(self, path: str, body: object) -> Any:
        """What it answers."""
        return self.ask("POST", self.address(path), body).body

    def pages(self, path: str) -> Iterator[list[Any]]:
        """One after the other, as long as GitHub names another: whoever has enough stops."""
        url: str | None = self.address(path)
        while url:
            answer = self.ask("GET", url)
            if not isinstance(answer.body, list):
                raise GitHubRefused(
                    f"GitHub answers {urlsplit(url).path} with something else than a list",
                    hint="compare url in the settings",
                )
            yield cast("list[Any]", answer.body)
            url = answer.following

    def address(self, path: str) -> str:
        """Of something of the repository."""
        return f"{self._api.url}/repos/{self._api.repository}{path}"

    def ask(self, method: str, url: str, body: object = None) -> Answered:
        """Once; as an App whose token is refused, once more with another. BadInput for an address outside the API's:
        the token goes nowhere else, whoever names it.
        """
        require_below(self._api.url, url)
        bearer = self._bearer()
        try:
            return exchange(method, url, bearer, body, seconds=self._seconds)
        except GitHubRefused as refused:
            if self._api.app is None or refused.status != HTTPStatus.UNAUTHORIZED:
                raise
        github_app.forget(self._api.url, self._api.app, bearer)
        return exchange(method, url, self._bearer(), body, seconds=self._seconds)

    def _bearer(self) -> str:
        if self._api.app is not None:
            return github_app.installation_token(self._api.url, self._api.app, self._vault)
        return read_secret(self._api.token or "", self._vault)


def require_below(api: str, url: str) -> None:
    """BadInput where *url* is not under the address *api*: one from an answer or a payload is data, and data may lie."""
    try:
        ours, theirs = urlsplit(api), urlsplit(url)
        below = (theirs.scheme, theirs.netloc) == (ours.scheme, ours.netloc) and theirs.path.startswith(f"{ours.path}/")
        # What a client or a proxy would resolve to another place, or read otherwise.
        plain = (
            url.isascii()
            and url.isprintable()
            and not any(each in url for each in ("..", "\\", " ", "#", "%2e", "%2E"))
        )
    except ValueError:
        below = plain = False
    if not (below and plain):
        raise BadInput(
            "an address that GitHub is to be asked at is not under its API's",
            hint="compare url in the settings; or it is forged",
        )
