"""What goes wrong with Prometheus itself. A value that is missing, old or no number is none of it: that is an answer."""

from __future__ import annotations

from steward.errors import BadInput, StewardError, Unavailable


class PrometheusAway(Unavailable):
    """Prometheus does not answer, or cannot now: nothing is known of any figure."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"Prometheus at {url} does not answer: {why}",
            hint="does it run, and is it url of [prometheus]? Until it answers, every figure of it is unknown",
        )
        self.url = url


class PrometheusSlow(PrometheusAway):
    """Prometheus did not answer to the end in the time that there was."""

    def __init__(self, url: str, seconds: float) -> None:
        super().__init__(url, f"no whole answer within {seconds:g} s")
        self.seconds = seconds


class PrometheusRefused(BadInput):
    """Prometheus does not take this query, or not from us."""

    def __init__(self, url: str, query: str, said: str) -> None:
        super().__init__(
            f"Prometheus at {url} refuses {query!r}: {said}",
            hint="mend the query, or the token of [prometheus]",
        )
        self.query, self.said = query, said


class PrometheusBadAnswer(StewardError):
    """Something answers, and not as Prometheus does: nothing of it is believed."""

    def __init__(self, url: str, query: str, seen: str) -> None:
        super().__init__(
            f"what answers {query!r} at {url} is no whole answer of Prometheus: {seen}",
            hint="is it url of [prometheus], path prefix included? Open url/api/v1/query?query=up",
        )
        self.query, self.seen = query, seen
