"""A rotation's acts on vault and keyring. Each finds what an earlier try has done, and does the rest."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from steward.clients.encrypted_rows import open_rows
from steward.clients.encrypted_tables import find_faults
from steward.clients.postgres import application_database, connect
from steward.clients.s3 import open_evidence_bucket
from steward.errors import BadInput
from steward.fieldcrypt.keyring import State, Wrap, WrappedKeys
from steward.keys.columns import load_columns
from steward.keys.errors import ColumnsUnusable, ReadersLag
from steward.keys.golden import GOLDEN_TENANT
from steward.keys.pace import give_way
from steward.keys.report import Proof, Retirement
from steward.keys.request import Plan, Reason, RotationRequest, planned_tenants
from steward.settings import Settings
from tasks.durable import operation, step
from tasks.keys_at_hand import KeysAtHand, at_hand

#: Tags of a version of the vault's key: by them a second attempt finds what the first one made.
MADE_BY, MADE_FOR = "steward-rotation", "steward-period"
#: A version that is not rotated in time is complained about by the vault itself.
KEK_DAYS = 93
#: Questions to the vault at a time: far below its limits, and not one after the other.
SIDE_BY_SIDE = 4
_POLL_SECONDS = 1.0
_AT_ONCE = dt.timedelta(0)

T = TypeVar("T")
R = TypeVar("R")


@step("check preconditions")
def check_preconditions(request: RotationRequest) -> Plan:
    """Whatever could stop the rotation halfway, found before anything is touched."""
    hand = at_hand()
    tenants = planned_tenants(request, hand.keyring.tenants(), hand.keyring.erased())
    before = hand.vault.key(hand.kek)
    hand.remembering.wrap_by(before)
    _check_unwraps(hand, tenants)
    _check_applications(hand.settings)
    with open_evidence_bucket(hand.settings):
        pass
    return Plan(
        tenants=tenants,
        applications=tuple(sorted(hand.settings.applications)),
        kek=hand.kek,
        kek_before=before.kid,
        rotates_kek=request.of_all,
    )


def _check_unwraps(hand: KeysAtHand, tenants: Sequence[str]) -> None:
    """One tenant's key opens: else the vault refuses this user, and would in the middle."""
    hand.key_sets([tenant for tenant in tenants if tenant != GOLDEN_TENANT][:1])


def _check_applications(settings: Settings) -> None:
    if not settings.applications:
        raise BadInput(
            "the settings name no application: a rotation would change keys and no row",
            hint="add [applications.NAME] for every database that has encrypted columns; see docs/key-rotation.md",
        )
    for name, application in settings.applications.items():
        columns = load_columns(application.encrypted)
        with connect(application_database(settings, name)) as connection:
            if faults := find_faults(connection, columns):
                raise ColumnsUnusable(
                    f"application {name} is not as {application.encrypted} says: {'; '.join(faults)}",
                    hint="mend the file or the database's grants; a column that is left out would lose its keys",
                )


@step("new version of the vault's key")
def new_kek_version(plan: Plan) -> str:
    """The version that this operation made, or makes now; where the vault's key stays, its newest. In full."""
    hand = at_hand()
    if not plan.rotates_kek:
        return hand.vault.key(plan.kek).kid
    held = operation()
    expires = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=KEK_DAYS)
    # The period too: numbers begin anew in a ledger that is laid anew or goes back to a backup, and the version that an
    # operation of the same number made long ago is not what is asked for.
    tags = {MADE_BY: f"{held.id}.{held.round}", MADE_FOR: held.period}
    return hand.vault.new_version(plan.kek, tags, expires_at=expires).kid


@step("rewrap keys")
def rewrap_keys(request: RotationRequest, plan: Plan, kek: str) -> int:
    """Wrap every key that is read under *kek* too; the old wraps stay. How many are wrapped by it then.

    Retired ones only after a suspicion: they are about to be destroyed, and each would cost another call of the vault. A
    new wrap is not the only one of its key until the old ones are dropped, and is looked at before that.
    """
    hand = at_hand()
    hand.wrap_under(kek)
    left = set[State]() if request.reason is Reason.SUSPECTED_COMPROMISE else {State.RETIRED}
    kept = [each for tenant in hand.keyring.load_many(plan.tenants) for each in tenant.generations if each.wraps]
    living = [each for each in kept if each.state not in left]
    wanted = [each for each in living if not any(_is_under(wrap, kek) for wrap in each.wraps)]
    _each(lambda one: hand.keyring.keep_wrap(one.key_id, hand.remembering.rewrap(one.wraps[0])), wanted)
    return len(living)


@step("new generations")
def add_generations(plan: Plan, kek: str) -> dict[str, int]:
    """Each tenant's incoming key, wrapped under *kek*: one that an earlier attempt or rotation left, or a new one."""
    hand = at_hand()
    hand.wrap_under(kek)
    kept = _each(lambda tenant: hand.keyring.add_generation(tenant, hand.remembering), plan.tenants)
    return {each.tenant: _one(each, State.INCOMING) for each in kept}


@step("wait for readers", run_name="wait for readers ({stage})", key="{stage}")
def await_readers(stage: str, seconds: float) -> float:
    """Until every process that holds keys has taken up the keyring's latest change; how many seconds that took."""
    keyring, began = at_hand().keyring, time.monotonic()
    epoch = keyring.epoch()
    while behind := keyring.lagging(epoch):
        if time.monotonic() - began > seconds:
            named = ", ".join(f"{one.host} pid {one.pid} (epoch {one.epoch})" for one in behind[:5])
            raise ReadersLag(
                f"{len(behind)} processes have not taken up epoch {epoch} of the keyring within {seconds:g} s: {named}",
                hint="see whether they reach the keyring, or end them; nothing is written under the new keys yet"
                if stage == State.INCOMING
                else "see whether they reach the keyring, or end them; the old keys stay until they have",
            )
        time.sleep(_POLL_SECONDS)
    return time.monotonic() - began


@step("switch writers")
def switch_writers(generations: dict[str, int]) -> int:
    """Let writers use the new keys; the old ones are read on. How many tenants."""
    return len(_each(lambda one: at_hand().keyring.switch(*one), list(generations.items())))


@step("decide what is retired")
def decide_retirement(request: RotationRequest, plan: Plan, proof: Proof) -> Retirement:
    """Old keys to disable: of tenants for whom everything was proved, and with nothing under them. Those whose grace is over."""
    hand = at_hand()
    used = key_ids_in_use(hand.settings)
    retired, kept = list[tuple[str, int]](), dict[str, str]()
    for tenant in hand.keyring.load_many(plan.tenants):
        for generation in tenant.generations:
            if generation.state is not State.PREVIOUS:
                continue
            if why := _kept_because(tenant.tenant, generation.key_id, proof, used):
                kept[tenant.tenant] = why
            else:
                retired.append((tenant.tenant, generation.key_id))
    # The grace of what is disabled now begins now. Something under a disabled key is taken back whatever is left of it.
    grace = dt.timedelta(days=request.grace_days)
    over = [(one.tenant, one.key_id) for one in hand.keyring.retired(grace, plan.tenants)]
    disabled = [(one.tenant, one.key_id) for one in hand.keyring.retired(_AT_ONCE, plan.tenants)]
    overlooked = [one for one in disabled if one[1] in used]
    outlived = [one for one in over if one not in overlooked] + (retired if request.grace_days == 0 else [])
    return Retirement(retired=retired, kept=kept, destroyed=outlived, reinstated=overlooked)


def _kept_because(tenant: str, key_id: int, proof: Proof, used: dict[int, int]) -> str:
    if tenant in proof.refuted:
        return "something of this tenant was refuted"
    if proof.golden.faults:
        # Whatever lost Steward's own writes may have lost anybody's.
        return "golden rows are not as they should be"
    if count := used.get(key_id, 0):
        return f"{count:,} values are under key {key_id}, written after the proof"
    return ""


@step("disable old keys")
def disable_keys(decided: Retirement) -> int:
    """Nobody reads under them any more; they can be taken back until they are destroyed."""
    return len(_each(lambda one: at_hand().keyring.retire(*one), decided.retired))


@step("destroy outlived keys")
def destroy_keys(decided: Retirement) -> Retirement:
    """Delete the wraps of what outlived its grace. Rows are counted right before: a key that is in use is taken back."""
    hand = at_hand()
    used = key_ids_in_use(hand.settings) if decided.destroyed else {}
    in_use = [*decided.reinstated, *(one for one in decided.destroyed if used.get(one[1]))]
    unused = [one for one in decided.destroyed if not used.get(one[1])]
    _each(lambda one: hand.keyring.reinstate(*one), in_use)
    _each(lambda one: hand.keyring.destroy(*one), unused)
    return decided.model_copy(update={"destroyed": unused, "reinstated": in_use})


@step("disable old versions of the vault's key")
def disable_kek_versions(request: RotationRequest, plan: Plan, kek: str, so_far: Retirement) -> Retirement:
    """Those that no key needs any more; after a suspicion, no key is let need one."""
    hand = at_hand()
    if not plan.rotates_kek:
        return so_far
    hand.wrap_under(kek)
    _drop_wraps(hand, kek, all_of_them=request.reason is Reason.SUSPECTED_COMPROMISE)
    needed = {_version(each) for each in hand.keyring.keks()}
    older = [each for each in hand.vault.versions(plan.kek) if each.version != _version(kek) and each.enabled]
    for version in older:
        if version.version not in needed:
            hand.vault.disable_version(version.kid)
    waiting = [each.version for each in older if each.version in needed]
    return so_far.model_copy(
        update={"disabled_keks": [e.version for e in older if e.version not in needed], "waiting_keks": waiting}
    )


def _drop_wraps(hand: KeysAtHand, kek: str, *, all_of_them: bool) -> None:
    """Old wraps of keys in use, and where that is asked for of retired ones too; the newest is unwrapped before."""
    for kept in hand.keyring.load_many(hand.keyring.tenants()):
        for generation in kept.generations:
            if len(generation.wraps) > 1 and (all_of_them or generation.state is State.CURRENT):
                newest = next(wrap for wrap in generation.wraps if _is_under(wrap, kek))
                old = next(wrap for wrap in generation.wraps if wrap != newest)
                if hand.remembering.unwrap_anew(newest.kek, newest.wrapped) == hand.remembering.unwrap(
                    old.kek, old.wrapped
                ):
                    hand.keyring.drop_wraps(generation.key_id, newest.kek)


def _is_under(wrap: Wrap, kek: str) -> bool:
    return _version(wrap.kek) == _version(kek)


def _version(kek: str) -> str:
    # The host follows whoever asks: a vault is reached by another name after a restore.
    return kek.rsplit("/", 1)[-1]


def key_ids_in_use(settings: Settings) -> dict[int, int]:
    """How many values of all applications name each key id."""
    used: dict[int, int] = {}
    for name, application in settings.applications.items():
        with open_rows(application_database(settings, name)) as rows:
            rows.flush()
            for table in load_columns(application.encrypted).tables:
                for key_id, count in rows.key_ids(table).items():
                    used[key_id] = used.get(key_id, 0) + count
    return used


def _one(kept: WrappedKeys, state: State) -> int:
    return next(each.key_id for each in kept.generations if each.state is state)


def _each(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """*work* on every item, some at a time; the first error ends it."""
    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="keys", initializer=give_way) as pool:
        running = [pool.submit(copy_context().run, work, item) for item in items]
        try:
            return [each.result() for each in running]
        finally:
            for each in running:
                each.cancel()
