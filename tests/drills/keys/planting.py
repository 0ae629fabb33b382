"""The judgement's own control: a clean rotation, then a fault of every kind planted, of which each must be told."""

import psycopg
from psycopg.conninfo import conninfo_to_dict

from demo.customers.traffic import direct_traffic
from demo.customers.users import owner
from steward.clients.keyring_rotation import open_rotating_keyring
from steward.clients.keyvault import open_vault
from steward.clients.keyvault_versions import open_versions
from steward.settings import read_secret
from tasks.key_rotation import MADE_BY
from tests.drills.keys.cases import ONE, Case
from tests.drills.keys.conducting import await_end
from tests.drills.keys.judgement import Judging, judge
from tests.integration.fresh_database import superuser

CLEAN = Case(0, "scheduled", "none", None)
_DAMAGED, _LOST, _MISPLACED = "customer-0001", "customer-0003", "customer-0004"


def planted(lane):
    """Faults of a clean rotation, faults after the planting, and faults if that had been an erasure."""
    with lane.ground(CLEAN) as ground:
        with direct_traffic(ground.settings, ground.folder / "traffic", ground.tenants, rate=5, users=1) as users:
            await_end(ground, ground.begin())
        clean, story = judge(ground, users)
        _plant_in_rows(ground)
        _plant_in_keyring(ground)
        _plant_in_vault(ground)
        _plant_in_evidence(ground)
        found, _ = judge(ground, users)
        erased = Judging(ground, users)
        # As if it had been an erasure: everything of the tenant is there yet.
        erased.erased = {ONE}
        erased.rows()
        erased.keyring()
        return {**clean.faults, **({"told": story} if clean.faults else {})}, found.faults, erased.tally.faults


def _plant_in_rows(ground):
    told = owner(ground.settings)
    with psycopg.connect(**conninfo_to_dict(told.url), password=read_secret(told.password)) as db:
        (damaged, lost, misplaced) = (
            db.execute("SELECT id FROM customers WHERE tenant_id = %s ORDER BY id LIMIT 1", [tenant]).fetchone()[0]
            for tenant in (_DAMAGED, _LOST, _MISPLACED)
        )
        db.execute("UPDATE customers SET email = set_byte(email, 75, get_byte(email, 75) # 1) WHERE id = %s", [damaged])
        db.execute("DELETE FROM customers WHERE id = %s", [lost])
        db.execute("UPDATE customers SET email_index = set_byte(email_index, 9, 0) WHERE id = %s", [misplaced])
        db.execute("UPDATE customers SET email_index = set_byte(email_index, 10, 0) WHERE id = %s", [misplaced])


def _plant_in_keyring(ground):
    """Another rotation of one tenant that ended halfway, and a generation that nobody uses."""
    settings = ground.settings
    with open_rotating_keyring(settings.keyring, settings.vault) as ring, open_vault(settings.vault) as vault:
        # Past the journal, so this is a fault of its kind too.
        added = ring.add_generation(ONE, vault).generations[-1]
        ring.switch(ONE, added.key_id)
        ring.add_generation(_LOST, vault)


def _plant_in_vault(ground):
    with open_versions(ground.lane.administrator) as vault:
        tags = next(each.tags for each in vault.versions(ground.settings.keyring.kek) if MADE_BY in each.tags)
        vault.new_version(ground.settings.keyring.kek, {**tags, "made-by": "the drill"})


def _plant_in_evidence(ground):
    with superuser(ground.settings, ground.settings.postgres.url.rpartition("/")[2]) as db:
        db.execute("ALTER TABLE steward.evidence DISABLE TRIGGER ALL")
        db.execute("UPDATE steward.evidence SET envelope = replace(envelope, 'a', 'b')")
