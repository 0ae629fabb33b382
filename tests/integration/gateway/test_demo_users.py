"""The demo's users at the gateway: what they ask is in the ledger as the provider recorded it, or the demo says that it is not."""

from __future__ import annotations

import pytest

from demo.costs.today import entered_since, now
from demo.costs.twins import TwinsAdministration
from demo.costs.users import BROKEN_OFF, admit, ask, await_answers, knock

pytestmark = pytest.mark.without_search

REQUESTS, ROUNDS = 24, 5


class Silent:
    """Providers that have nothing on record."""

    def attempts(self):
        return []


@pytest.fixture
def asked(gateway, tmp_path):
    key = admit(gateway.callers, tmp_path / "caller")
    knock(gateway.url, key)
    await_answers(gateway.url, key)
    for _ in range(ROUNDS):
        since = now(gateway.settings)
        answered = ask(gateway.url, key, ["acme", "globex"], REQUESTS)
        # A busy machine may let one wait for longer than its route allows: what users are told then is another test's.
        if BROKEN_OFF not in answered:
            break
    return since, answered


def test_the_users_of_the_demo_are_in_the_ledger_as_the_provider_recorded_them(gateway, twins, asked):
    since, answered = asked
    assert BROKEN_OFF not in answered
    with TwinsAdministration(twins.admin_url.removesuffix("/admin"), twins.secret("token")) as administration:
        entered = entered_since(gateway.settings, administration, since)
    # More where a slow route was given up for the other.
    assert entered.attempts >= REQUESTS
    assert (entered.tenants, entered.apart) == (2, ())
    assert "one by one: yes" in "\n".join(entered.lines())

    unheard = entered_since(gateway.settings, Silent(), since)
    assert len(unheard.apart) == entered.attempts
    assert f"NO, {entered.attempts} are not" in "\n".join(unheard.lines())
