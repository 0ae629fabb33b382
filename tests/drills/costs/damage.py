"""What may become of a provider's pages on their way."""

import json

from tests.integration.costs_ground import cut


def damaging(how):
    """Meddle with the first page of the usage, or with the second; afterwards all is well."""
    pages = []

    def meddle(path, answer):
        if "usage" not in path:
            return answer
        pages.append(answer)
        return _MEDDLING[how](len(pages), pages, answer)

    return meddle


def _cut(number, _pages, answer):
    return cut(answer) if number == 2 else answer


def _repeated(number, pages, answer):
    return pages[0] if number == 2 else answer


def _out_of_order(number, _pages, answer):
    status, headers, body = answer
    told = json.loads(body)
    told["data"].reverse()
    return (status, headers, json.dumps(told).encode()) if number == 1 else answer


def _refused(number, _pages, answer):
    return (429, {"retry-after": "1"}, b'{"error": {"message": "slow down"}}') if number <= 2 else answer


_MEDDLING = {"cut": _cut, "repeated": _repeated, "out-of-order": _out_of_order, "refused": _refused}
