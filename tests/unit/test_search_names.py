from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.search.errors import BadTenantName
from steward.search.names import TenantName
from steward.search.onboarding import is_generation
from steward.search.roles import tenant_role


@pytest.mark.parametrize("name", ["acme", "acme-corp", "a1b", "a" * 40, "acme-2026", "x-00001"])
def test_a_plain_name_is_accepted_and_names_everything_of_the_tenant(name):
    tenant = TenantName(name)
    assert (tenant.alias, tenant.first_index, tenant.role) == (
        f"tenant-{name}",
        f"tenant-{name}-000001",
        f"tenant_{name}",
    )


@pytest.mark.parametrize(
    "name",
    [
        *("", "a", "ab", "a" * 41, "Acme", "acme_corp", "acme.corp", "-acme", "acme-", "1acme", "acmé", "acme corp"),
        *("acme\n", "acme/..", "acme,other", "*", "acme*", "ac--me", "_all", "acme-000001", "acme-1234567"),
    ],
)
def test_a_bad_name_is_refused_with_what_was_seen_and_expected(name):
    with pytest.raises(BadTenantName) as refused:
        TenantName(name)
    assert repr(name[:60]) in refused.value.message
    assert "expected" in refused.value.message
    assert refused.value.hint


def test_a_refusal_survives_the_pickling_that_prefect_does():
    with pytest.raises(BadTenantName) as refused:
        TenantName("A")
    revived = pickle.loads(pickle.dumps(refused.value))  # noqa: S301  our own bytes
    assert (str(revived), revived.name) == (str(refused.value), "A")


def _accepted(name: str) -> bool:
    try:
        TenantName(name)
    except BadTenantName:
        return False
    return True


# Few letters and short parts, so that names which begin alike are common.
parts = st.lists(st.text("ab0", min_size=1, max_size=6), min_size=1, max_size=3)
names = parts.map(lambda words: "a" + "-".join(words)).filter(_accepted)


@given(names, names)
def test_no_tenant_gets_a_name_of_another(one, other):
    if one == other:
        return
    mine, theirs = TenantName(one), TenantName(other)
    assert not {mine.alias, mine.first_index} & {theirs.alias, theirs.first_index}
    assert not is_generation(mine, theirs.first_index)
    assert not is_generation(mine, theirs.alias)


@given(names, names)
def test_the_role_of_a_tenant_opens_no_name_of_another(one, other):
    if one == other:
        return
    theirs = TenantName(other)
    for pattern in tenant_role(TenantName(one)).indices[0].names:
        # As Elasticsearch reads it: /…/ is a regular expression, the rest is literal here, having no wildcard.
        expression = pattern.strip("/") if pattern.startswith("/") else re.escape(pattern)
        for name in (theirs.alias, theirs.first_index):
            assert not re.fullmatch(expression, name)


def test_the_role_of_a_tenant_opens_every_generation_of_its_indices():
    _, pattern = tenant_role(TenantName("acme-corp")).indices[0].names
    assert re.fullmatch(pattern.strip("/"), "tenant-acme-corp-000042")
