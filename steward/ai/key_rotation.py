"""One rotation of a provider's key: what it starts from, what its steps came to, and which keys are to go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pydantic import AwareDatetime, BaseModel, ConfigDict

from steward.ai.key_rotation_errors import NewKeyRefused, NotRotatable, PoolEmpty
from steward.ai.keys import ProviderKey, is_hint_of, is_made_under

# Tags of the vault's secrets: of NAME's versions, and of those of the pool.
KEY_ID, OPERATION, REPLACES = "key-id", "steward-operation", "steward-replaces"
POOL, STATE = "steward-pool", "state"
AVAILABLE, TAKEN, IN_USE, REFUSED = "available", "taken", "in-use", "refused"
#: With fewer keys left than these the evidence says so: one rotation in a hurry, and one by the calendar.
LEAST_POOL = 2


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OldKey(_Frozen):
    """A key that is to go."""

    id: str
    owner: str = ""
    version: str = ""
    """Of the vault's secret, where a version is known to hold it."""


class KeysBegun(_Frozen):
    """What a rotation starts from. Nothing has been touched."""

    account: str
    kind: str
    secret: str
    """The name of the vault's secret whose newest version is the account's key."""
    started_at: AwareDatetime
    """By the ledger's clock."""
    version: str
    """Of the secret, now."""
    fingerprint: str
    old: tuple[OldKey, ...]
    was_refused: bool = False
    """The provider did not take the key any more when the rotation began."""
    workers: tuple[str, ...] = ()
    """Of the gateway, alive at that time."""


class NewKey(_Frozen):
    """The key that is to be used: where the vault has it until it is."""

    id: str
    owner: str = ""
    secret: str
    version: str
    fingerprint: str
    pool_left: int | None = None
    """Keys that the pool has after this one; None: the provider makes keys, and there is no pool."""


class Switched(_Frozen):
    """The secret's version that holds the new key."""

    version: str


class Proof(_Frozen):
    """What was seen at the end."""

    still_answer: tuple[str, ...] = ()
    """Keys that were revoked, and work."""
    new_answers: bool
    lagging: tuple[str, ...] = ()
    """Workers that do not tell of the new key."""
    refused_attempts: int
    """That the provider answered 401 since the rotation began."""
    attempts: int
    """All of that time."""


class VersionSeen(_Frozen):
    """A version of the secret as the vault lists it."""

    version: str
    tags: Mapping[str, str]


class PoolKey(_Frozen):
    """A secret of the pool as the vault lists it."""

    secret: str
    key_id: str
    state: str
    operation: str = ""


def old_keys(
    current: VersionSeen, secret: str, versions: Sequence[VersionSeen], listed: Sequence[ProviderKey]
) -> tuple[OldKey, ...]:
    """The keys of *versions* of the secret that the provider still has: the one in use, and those that an earlier rotation
    left alive because a worker lagged.

    None: the provider has taken the one in use back already. NotRotatable: nothing tells which one it is.
    """
    known = {each.id: each for each in listed if each.is_active}
    mine = current.tags.get(KEY_ID) or _by_hint(secret, known.values())
    _require_looks(known.get(mine), secret)
    told = {each.tags[KEY_ID]: each.version for each in versions if KEY_ID in each.tags}
    for each in versions:
        told.setdefault(each.tags.get(REPLACES, ""), "")
    told[mine] = current.version
    _require_whole_owners([known[key] for key in told if key in known], listed)
    return tuple(OldKey(id=key, owner=known[key].owner, version=told[key]) for key in sorted(told) if key in known)


def _by_hint(secret: str, keys: Iterable[ProviderKey]) -> str:
    fitting = [each.id for each in keys if is_hint_of(each.hint, secret)]
    if len(fitting) > 1:
        raise NotRotatable(
            f"the provider lists {len(fitting)} keys that could be the one in use: {', '.join(sorted(fitting))}",
            hint=f"tag the secret's newest version with the id of the right one: az keyvault secret set-attributes --tags {KEY_ID}=ID",
        )
    return fitting[0] if fitting else ""


def _require_looks(tagged: ProviderKey | None, secret: str) -> None:
    """Somebody may have set another key, and left the tags as they were."""
    if tagged and is_hint_of(tagged.hint, secret) is False:
        raise NotRotatable(
            f"the secret's tag {KEY_ID} names {tagged.id}, which the provider shows as {tagged.hint}: it is another key",
            hint=f"let the tag {KEY_ID} of the secret's newest version name the key that it holds, or take the tag off",
        )


def _require_whole_owners(going: Sequence[ProviderKey], listed: Sequence[ProviderKey]) -> None:
    """A service account goes as a whole."""
    ids = {each.id for each in going}
    owners = {each.owner for each in going if each.owner}
    if others := [each for each in listed if each.owner in owners and each.is_active and each.id not in ids]:
        raise NotRotatable(
            f"the service account {others[0].owner} of a key that is to go has others too: "
            f"{', '.join(sorted(each.id for each in others))}",
            hint="OpenAI's API takes a service account back with all its keys: move those others first",
        )


def used_keys(versions: Iterable[VersionSeen]) -> frozenset[str]:
    """The ids of all keys that the secret ever held."""
    return frozenset(each.tags.get(tag, "") for each in versions for tag in (KEY_ID, REPLACES)) - {""}


def draw(pool: Sequence[PoolKey], listed: Sequence[ProviderKey], operation: str, account: str) -> PoolKey:
    """The one that *operation* took already, or the first that is to be had. PoolEmpty."""
    if mine := [each for each in pool if (each.state, each.operation) == (TAKEN, operation)]:
        return mine[0]
    active = {each.id for each in listed if each.is_active}
    free = free_keys(pool)
    if usable := [each for each in free if each.key_id in active]:
        return usable[0]
    unusable = f"; the provider has no active key of the ids of {len(free)} more" if free else ""
    raise PoolEmpty(
        f"the pool of {account} has no key left{unusable}",
        hint=f"make keys in the provider's console, and put each into the vault as a secret with the tags {POOL}={account}, "
        f"{KEY_ID}=ITS-ID and {STATE}={AVAILABLE}: docs/runbooks/rotate-provider-keys.md",
    )


def free_keys(pool: Sequence[PoolKey]) -> list[PoolKey]:
    """Those that may be taken, in the order of their names."""
    return sorted((each for each in pool if each.state == AVAILABLE and each.key_id), key=lambda each: each.secret)


def require_taken(begun: KeysBegun, new: NewKey, *, is_taken: bool) -> None:
    """NewKeyRefused."""
    if not is_taken:
        raise NewKeyRefused(
            f"the provider of {begun.account} does not take the new key {new.id}: the old one stays in use",
            hint="see in the provider's console what became of it",
        )


def strays(listed: Sequence[ProviderKey], prefix: str, versions: Sequence[VersionSeen]) -> list[ProviderKey]:
    """Keys that an earlier try made, and that no version of the secret was ever told to hold: nobody can be using them."""
    used = used_keys(versions)
    return [each for each in listed if is_made_under(prefix, each.name) and each.id not in used]
