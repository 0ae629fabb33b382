"""What a rotation may be asked for, and whose keys it then is about."""

from __future__ import annotations

import pytest
from prefect.exceptions import ParameterTypeError
from pydantic import ValidationError

from flows.monthly_key_rotation import MONTHLY, monthly_key_rotation
from steward.errors import BadInput
from steward.keys.golden import GOLDEN_TENANT
from steward.keys.request import Reason, RotationRequest, planned_tenants

KNOWN = ["acme", "globex", GOLDEN_TENANT, "initech"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"reason": "offboarding"}, "a rotation for offboarding needs a `because`"),
        ({"reason": "suspected-compromise", "because": " \t\n"}, "needs a `because`"),
        ({"reason": "boredom"}, "Input should be 'scheduled', 'suspected-compromise' or 'offboarding'"),
        ({"reason": ""}, "Input should be"),
        ({"reason": None}, "Input should be"),
        ({"because": "x" * 501}, "at most 500 characters"),
        ({"tenants": ["acme", " "]}, "a tenant without a name; leave the list empty for all tenants"),
        ({"tenants": [""]}, "a tenant without a name"),
        ({"tenants": ["t"] * 1001}, "at most 1000 items"),
        ({"grace_days": -1}, "greater than or equal to 0"),
        ({"grace_days": float("nan")}, "grace_days"),
        ({"threads": 0}, "greater than or equal to 1"),
        ({"threads": 33}, "less than or equal to 32"),
        ({"added_milliseconds": 0}, "greater than or equal to 0.1"),
        ({"readers_seconds": 0.5}, "greater than or equal to 1"),
        ({"tenant": "acme"}, "Extra inputs are not permitted"),
    ],
)
def test_a_form_that_is_filled_in_wrongly_starts_nothing(asked, said):
    with pytest.raises(ValidationError) as raised:
        RotationRequest.model_validate(asked)
    assert said in str(raised.value)
    with pytest.raises(ParameterTypeError):
        monthly_key_rotation.validate_parameters({"request": asked})


def test_the_default_is_the_scheduled_rotation_of_everybody():
    assert (MONTHLY.reason, MONTHLY.subject, MONTHLY.of_all) == (Reason.SCHEDULED, "all tenants", True)


def test_the_subject_names_the_tenants_once_each_whatever_their_order():
    one = RotationRequest(tenants=("globex", "acme", "globex"))
    assert (one.subject, one.of_all) == ("acme, globex", False)
    assert one.subject == RotationRequest(tenants=("acme", "globex")).subject


def test_a_subject_fits_a_line():
    many = RotationRequest(tenants=tuple(f"tenant-{number:04}" for number in range(300)))
    assert many.subject == "300 tenants"


def test_a_rotation_of_all_is_of_everybody_who_has_keys():
    assert planned_tenants(MONTHLY, KNOWN, ["gone"]) == ("acme", "globex", GOLDEN_TENANT, "initech")
    assert planned_tenants(MONTHLY, ["acme"], []) == ("acme", GOLDEN_TENANT)


def test_a_rotation_of_some_is_of_these_and_the_golden_tenant():
    asked = RotationRequest(tenants=("initech", "acme", "acme"))
    assert planned_tenants(asked, KNOWN, []) == ("acme", GOLDEN_TENANT, "initech")


@pytest.mark.parametrize(
    ("tenant", "said"),
    [
        ("acmee", "unknown tenant 'acmee'; known: acme"),
        ("zzz", "unknown tenant 'zzz'; known: none of that kind"),
        ("gone", "tenant 'gone' was erased: it has no keys"),
    ],
)
def test_a_tenant_without_keys_is_told(tenant, said):
    with pytest.raises(BadInput) as raised:
        planned_tenants(RotationRequest(tenants=("acme", tenant)), KNOWN, ["gone"])
    assert raised.value.message == said
    assert raised.value.hint


def test_a_keyring_without_tenants_is_told():
    with pytest.raises(BadInput, match="no tenant has keys"):
        planned_tenants(MONTHLY, [], ["gone"])
