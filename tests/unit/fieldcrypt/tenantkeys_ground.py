"""A rotation in the keyring, and the wait until TenantKeys have come along with it."""

from tests.unit.fieldcrypt.in_memory import until


def idle(keys):
    until(lambda: len(keys._refresher._flights) == 0)


def rotate(keyring, tenant):
    """A new generation in current use. Returns its key id."""
    made = keyring.add_generation(tenant)
    keyring.switch(tenant, made)
    return made


def caught_up(keys, keyring):
    """What an application's acknowledger does, until it may acknowledge."""
    since = keys.seen_epoch()
    until(lambda: keys.catch_up(keyring.epoch, keyring.changed(since)))
