from __future__ import annotations

import pytest

from steward.ai.keys import ProviderKey, version_of
from steward.costs.registering import HeldKey, match_keys

SECRET = "sk-svcacct-0123456789abcdefAb3d"


def listed(key_id, hint="sk-svc...Ab3d", project="proj_1"):
    return ProviderKey(id=key_id, name=key_id, hint=hint, is_active=True, project=project)


def matched(held, *keys):
    found = match_keys("main", [held], keys, "proj_own")
    return {(each.key_id, each.project, each.fingerprint) for each in found.registered}, found.untold


def test_the_one_key_that_fits_is_it() -> None:
    found = matched(HeldKey("v1", SECRET), listed("key_1"), listed("key_2", "sk-svc...zzzz"))
    assert found == ({("key_1", "proj_1", version_of(SECRET))}, ())


@pytest.mark.parametrize(
    ("held", "keys", "words"),
    [
        (HeldKey("v1", SECRET), [listed("key_1"), listed("key_2")], "2 keys of the provider could be it: key_1, key_2"),
        (HeldKey("v1", SECRET), [listed("key_2", "sk-svc...zzzz")], "lists no key that it could be"),
        # A hint that says too little fits nothing.
        (HeldKey("v1", SECRET), [listed("key_1", "sk-...3d")], "lists no key that it could be"),
        (HeldKey("", SECRET, "key_1"), [listed("key_1", "sk-svc...zzzz")], "it is another key"),
    ],
)
def test_what_is_not_certain_is_said_and_not_guessed(held, keys, words) -> None:
    found, (untold,) = matched(held, *keys)
    assert found == set()
    assert words in untold
    assert SECRET not in untold
    assert SECRET not in repr(held)


def test_a_tag_tells_which_key_it_is_where_hints_do_not() -> None:
    tagged = HeldKey("v2", SECRET, "key_2")
    assert matched(tagged, listed("key_1"), listed("key_2"))[0] == {("key_2", "proj_1", version_of(SECRET))}
    # It is gone at the provider, and was the account's.
    assert matched(tagged)[0] == {("key_2", "proj_own", version_of(SECRET))}
    assert matched(tagged, listed("key_2", "?", ""))[0] == {("key_2", "proj_own", version_of(SECRET))}
