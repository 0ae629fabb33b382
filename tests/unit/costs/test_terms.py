from decimal import Decimal
from pathlib import Path

import pytest

from steward.costs.terms import AgreedTerms, TermsUnusable, load_terms
from steward.costs.values import Terms

SHIPPED = Path(__file__).parents[3] / "deployments" / "costs" / "terms.toml"


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "terms.toml"
        path.write_text(text)
        return path

    return write


def test_an_account_that_nobody_named_has_agreed_on_nothing(written):
    for terms in (load_terms(None), load_terms(SHIPPED), load_terms(written("[accounts.anthropic]\ndiscount = 0.1"))):
        assert terms["openai"] == AgreedTerms()
        assert terms["openai"].with_keys(["k"]) == Terms(gateway_keys=frozenset({"k"}))


def test_terms_are_read_as_they_are_written(written):
    path = written("""
        [accounts.main]
        organization = "org-1"
        discount = 0.1
        committed_tiers = ["priority"]
        regional_multipliers = [1.1, 1.25]
    """)
    assert load_terms(path, ["main"])["main"].with_keys(frozenset({"k"})) == Terms(
        gateway_keys=frozenset({"k"}),
        discount=Decimal("0.1"),
        committed_tiers=frozenset({"priority"}),
        regional_multipliers=(Decimal("1.1"), Decimal("1.25")),
    )


def test_the_shipped_example_is_an_entry(written):
    commented = SHIPPED.read_text().partition("# An entry, of which each line may be absent:\n")[2]
    example = "\n".join(line.removeprefix("# ") for line in commented.splitlines() if line != "#")
    assert load_terms(written(example))["openai"].discount == Decimal("0.05")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[accounts.a]\ndiscount = 5", "accounts.a.discount"),
        ("[accounts.a]\ndiscount = -0.1", "accounts.a.discount"),
        ("[accounts.a]\ndiscount = nan", "accounts.a.discount"),
        ("[accounts.a]\ndiscount = 0.0000000001", "accounts.a.discount"),
        ("[accounts.a]\nregional_multipliers = [0]", "accounts.a.regional_multipliers.0"),
        ("[accounts.a]\ndiscounts = 0.1", "accounts.a.discounts"),
        ("[account.a]\ndiscount = 0.1", "account"),
        ("accounts =", "Invalid value"),
        ("[accounts.b]\ndiscount = 0.1", "terms of 'b', and the accounts are a"),
    ],
)
def test_terms_that_say_nothing_sensible_are_refused_by_name(written, text, why):
    with pytest.raises(TermsUnusable, match=why):
        load_terms(written(text), ["a"])


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(TermsUnusable, match="No such file"):
        load_terms(tmp_path / "absent.toml")
