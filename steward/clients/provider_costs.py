"""What a provider's administration states of an account's day: every page of its reports, byte by byte.

What is not had whole is an error, and no cost: half a page, or half a report, would read as a smaller bill.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import httpx

from steward.ai.errors import NoAdministration
from steward.ai.key_rotation_errors import ProviderRefused, ProviderUnavailable
from steward.clients.provider_asking import Asking, _kind
from steward.clients.provider_keys_anthropic import anthropic_headers
from steward.clients.provider_keys_openai import openai_headers
from steward.clients.secrets import read_secret
from steward.costs.cells import HOUR
from steward.costs.errors import PageUnusable
from steward.costs.kept import RawPage
from steward.costs.reports.buckets import read_page
from steward.costs.reports.questions import Question, questions
from steward.settings import Provider, Settings

#: A day by the hour is one page, at a few hundred bytes a key and model.
MOST_PAGES = 200
#: Of all reports of a day together: they are held in memory until they are kept.
MOST_BYTES = 256 * 1024 * 1024
#: Pauses before another try of the same page. More waiting than this belongs to the task, which can show it.
PAUSES_SECONDS = (1.0, 4.0)
#: A longer pause than this is the task's as well, whoever asks for it.
LONGEST_PAUSE_SECONDS = 20.0


class PageCut(ProviderUnavailable):
    """A page ended before its end."""


class ProviderBusy(ProviderUnavailable):
    """The provider answers that it cannot now; `retry_after_seconds` where it says when."""

    def __init__(self, message: str, *, hint: str = "", retry_after_seconds: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class OrganizationShared(NoAdministration):
    """Two accounts of the settings are one organisation at the provider: its costs would count twice."""


class Patience(NamedTuple):
    """How long a page is waited for."""

    pauses: tuple[float, ...] = PAUSES_SECONDS
    wait: Callable[[float], None] = time.sleep


PATIENCE = Patience()


def fetch_pages(
    settings: Settings, account: str, day: dt.date, *, bucket: int = HOUR, patience: Patience = PATIENCE
) -> Iterator[RawPage]:
    """All pages of all reports, in order, with the account's admin key; usage by *bucket* seconds.

    Raises NoAdministration, ProviderUnavailable (PageCut too), ProviderRefused and PageUnusable, and what reading the key
    raises; pages that came before are worth nothing then.
    """
    provider = _administered(settings, account)
    key = read_secret(provider.admin_key or "", settings.vault)
    headers = openai_headers(key) if provider.kind == "openai" else anthropic_headers(key)
    try:
        asking = _Reports(provider.url, headers, account, patience)
    except UnicodeError:
        # Not chained: it holds the header, and that the key.
        raise _unsendable(account) from None
    with asking:
        for question in questions(provider.kind, day, bucket):
            yield from asking.pages(question)


def _administered(settings: Settings, account: str) -> Provider:
    provider = settings.providers.get(account)
    if provider is None or provider.admin_key is None:
        missing = "such account" if provider is None else "admin_key"
        raise NoAdministration(
            f"the settings have no {missing} to ask the provider of {account} with",
            hint=f"add {'it' if provider is None else missing} to [providers.{account}]: docs/settings.md",
        )
    for name, other in settings.providers.items():
        if name != account and (other.kind, other.url, other.admin_key) == (
            provider.kind,
            provider.url,
            provider.admin_key,
        ):
            raise OrganizationShared(
                f"{account} and {name} are asked by one admin key: both would be billed what the organisation was",
                hint="costs are an organisation's: give it one account, or each its own organisation and admin_key",
            )
    return provider


class _Reports(Asking):
    """As Asking, by pages as they come."""

    def __init__(self, url: str, headers: Mapping[str, str], account: str, patience: Patience) -> None:
        # Unpacked, a page is not what came; and its length could not be held against what was announced.
        super().__init__(url, {**headers, "accept-encoding": "identity"})
        self._account, self._patience, self._bytes = account, patience, 0

    def pages(self, question: Question) -> Iterator[RawPage]:
        """Of one report, to its end."""
        query, tokens = dict[str, Any](question.query), set[str]()
        for number in range(1, MOST_PAGES + 1):
            page = RawPage(question.report, number, self._patiently(question.path, query))
            yield page
            token = _next(page)
            if token is None:
                return
            if token in tokens:
                raise PageUnusable(
                    f"{question.report} of {self._account} names page {number + 1} as it named an earlier one",
                    hint="the report would never end: see the provider's status page, then read it again",
                )
            tokens.add(token)
            query["page"] = token
        raise PageUnusable(
            f"{question.report} of {self._account} has more than {MOST_PAGES} pages",
            hint="a day has one or two: compare url in [providers.…]",
        )

    def _patiently(self, path: str, query: Mapping[str, Any]) -> bytes:
        for pause in self._patience.pauses:
            try:
                return self._page(path, query)
            except ProviderUnavailable as error:
                told = error.retry_after_seconds if isinstance(error, ProviderBusy) else 0.0
                if told > LONGEST_PAUSE_SECONDS:
                    raise
            self._patience.wait(max(pause, told))
        return self._page(path, query)

    def _page(self, path: str, query: Mapping[str, Any]) -> bytes:
        body = bytearray()
        try:
            with self._client.stream("GET", path, params=dict(query)) as answer:
                if not answer.is_success:
                    answer.read()
                    raise self._refusal(answer, path)
                for part in answer.iter_bytes():
                    body += part
                    self._require_bounded(self._bytes + len(body))
        except httpx.LocalProtocolError:
            # Not chained: its text quotes the header, and that the key.
            raise _unsendable(self._account) from None
        except httpx.HTTPError as error:
            # Not chained: the error holds the request, and that the key.
            told = type(error).__name__
        else:
            self._bytes += len(body)
            return bytes(body)
        if not body:
            raise ProviderUnavailable(
                f"{self.url} does not answer GET {path}: {told}", hint="see the provider's status page"
            )
        raise PageCut(
            f"{self.url} broke off a page of {path} after {len(body)} bytes: {told}",
            hint="it is asked for again, and nothing of it counts",
        )

    def _require_bounded(self, size: int) -> None:
        if size > MOST_BYTES:
            raise PageUnusable(
                f"the reports of a day of {self._account} have more than {MOST_BYTES:,} bytes",
                hint="a day by the minute has a few million: compare url in [providers.…]",
            )

    def _refusal(self, answer: httpx.Response, path: str) -> ProviderUnavailable | ProviderRefused:
        # Its text may quote a key.
        told = f"{answer.status_code} {_kind(answer)}".strip()
        if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.is_server_error:
            return ProviderBusy(
                f"{self.url} cannot answer GET {path} now: {told}",
                hint="see the provider's status page",
                retry_after_seconds=_seconds(answer.headers.get("retry-after", "")),
            )
        return ProviderRefused(f"{self.url} refuses GET {path}: {told}", hint=self._hint(answer.status_code))

    def _hint(self, status: int) -> str:
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return (
                f"see whether the secret of admin_key in [providers.{self._account}] is an admin key of the organisation, "
                "is in force, and may read usage and costs"
            )
        return f"compare url and kind in [providers.{self._account}] with the provider's reference of its reports"


def _unsendable(account: str) -> NoAdministration:
    return NoAdministration(f"the admin key of {account} cannot be sent", hint="write the secret anew")


def _seconds(text: str) -> float:
    """Of `retry-after`; 0 where it is a date, or absent."""
    return float(text) if text.isdigit() else 0.0


def _next(page: RawPage) -> str | None:
    """The token of the page that follows."""
    told = read_page(page.body, page.report)
    if not told.get("has_more"):
        return None
    token = told.get("next_page")
    if not isinstance(token, str) or not token:
        raise PageUnusable(
            f"page {page.number} of {page.report} says that there are more, and not which",
            hint="read the report again; if it stays so, compare it with the provider's reference of the report",
        )
    return token
