"""What became of a case, by the servers themselves: rows, keyring, vault, evidence. The flow's own verdict is one witness."""

from argparse import Namespace
from collections import Counter
from dataclasses import asdict, dataclass

from demo.customers.checking import check_writes
from demo.customers.seeding import TABLE, seeded
from demo.customers.users import APPLICATION, application_keys, database, owner
from demo.customers.values import Values
from demo.customers.writelog import read
from steward.clients.erasures import erasures
from steward.clients.keyring_rotation import open_rotating_keyring
from steward.clients.keyvault_versions import open_versions
from steward.clients.postgres import connect, keyring_database
from steward.clients.tenantkeys import open_tenant_keys
from steward.errors import StewardError
from steward.evidence.store import complete, list_statements
from steward.evidence.verifying import PROVED, run_verify
from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.cipher import key_id
from steward.fieldcrypt.errors import FieldCryptError, TenantErased
from steward.fieldcrypt.keyring import State
from steward.key_coverage import measure
from steward.keys.columns import load_columns
from steward.keys.golden import GOLDEN_TENANT, STILL, WRITTEN, golden_value
from tasks.key_rotation import MADE_BY
from tests.drills.keys import cases

FIELDS = ("email", "born", "notes")
_LEFT = """
SELECT g.key_id, g.state FROM keyring.generations g LEFT JOIN keyring.wraps w USING (key_id)
WHERE g.tenant = %s AND (w.key_id IS NOT NULL OR g.state <> 'destroyed')
"""
#: No faults, of a Tally.
_TOLD = {"cases", "kills", "again", "completed"}
_OVER = {State.RETIRED, State.DESTROYED}


@dataclass
class Tally:
    """Of one case: what went wrong, each in its unit; and what is told for its own sake."""

    cases: int = 1
    kills: int = 0
    """Told: processes that were killed."""
    again: int = 0
    """Told: rounds beyond the first, after a verdict of UNKNOWN."""
    completed: int = 0
    """Told: logs of evidence whose last checkpoint was still to be signed."""
    unreadable: int = 0
    """Rows that do not decrypt, and should."""
    lost: int = 0
    """Rows and acknowledged writes that are not there, or say something else."""
    unfound: int = 0
    """Rows whose blind index is not their value's, under the current key."""
    below: int = 0
    """Rows with something under another than the current key."""
    orphans: int = 0
    """Generations that nobody writes under and nothing retired; keys that only a disabled version of the vault's opens."""
    doubled: int = 0
    """Generations, and versions of the vault's key, beyond one an operation."""
    readable: int = 0
    """Rows of an erased tenant that decrypt, and keys of it that are left."""
    unproved: int = 0
    """Operations that did not end VERIFIED, and evidence of them that is not there or does not verify."""
    uncovered: int = 0
    """Key operations in the vault's log that journal and evidence do not account for."""
    stuck: int = 0

    @property
    def figures(self):
        return asdict(self)

    @property
    def faults(self):
        """What must be zero and is not."""
        return {name: value for name, value in self.figures.items() if value and name not in _TOLD}


def judge(ground, traffic):
    """(the tally, what is to be read of each fault)."""
    judging = Judging(ground, traffic)
    for look in (judging.rows, judging.writes, judging.keyring, judging.vault, judging.evidence, judging.journal):
        look()
    return judging.tally, judging.story


class Judging:
    """Each look adds to the tally, and to the story what was seen."""

    def __init__(self, ground, traffic) -> None:
        self.ground, self.case, self.traffic = ground, ground.case, traffic
        self.settings, self.tally, self.story = ground.settings, Tally(), []
        self.operation = ground.operation()
        self.tally.again = self.operation["round"] - 1
        self.erased = {cases.ONE} if self.case.asked == "erasure" else set()
        with open_rotating_keyring(self.settings.keyring, self.settings.vault) as ring:
            self.kept = {each.tenant: each.generations for each in ring.load_many([*ground.tenants, GOLDEN_TENANT])}

    def fault(self, kind, told, count=1):
        setattr(self.tally, kind, getattr(self.tally, kind) + count)
        if len(self.story) < 40:
            self.story.append(f"{kind}: {told}")

    def rows(self):
        """Each by the application's user and a reader that has never seen a key."""
        query = f"SELECT tenant_id, id, email, email_index, born, notes FROM {TABLE}"  # noqa: S608
        with (
            connect(database(owner(self.settings), self.settings)) as db,
            open_tenant_keys(*application_keys(self.settings)) as keys,
        ):
            found = {(tenant, row): sealed for tenant, row, *sealed in db.execute(query)}
            opened = {place: self._row(keys, *place, sealed) for place, sealed in found.items()}
        self._contents(opened)
        self._golden({row: values for (tenant, row), values in opened.items() if tenant == GOLDEN_TENANT})

    def _row(self, keys, tenant, row, sealed):
        email, index, born, notes = sealed
        cipher = FieldCipher(tenant, keys)
        try:
            values = Values._make(
                cipher.decrypt(TABLE, name, row, value)
                for name, value in zip(FIELDS, (email, born, notes), strict=True)
            )
            if tenant in self.erased:
                self.fault("readable", f"row {row} of {tenant}")
            elif index != cipher.blind_index(TABLE, "email", values.email):
                self.fault("unfound", f"row {row} of {tenant}")
        except TenantErased as error:
            if tenant not in self.erased:
                self.fault("unreadable", f"row {row} of {tenant}: {type(error).__name__}")
            return None
        except FieldCryptError as error:
            self.fault("unreadable", f"row {row} of {tenant}: {error}")
            return None
        current = {each.key_id for each in self.kept.get(tenant, ()) if each.state is State.CURRENT}
        if under := {key_id(value) for value in (email, born, notes) if value} - current:
            self.fault("below", f"row {row} of {tenant} is under {under}, current {current}")
        return values

    def _contents(self, opened):
        """Of rows that nobody wrote since they were seeded."""
        written = {write.row for write in read(self.traffic.log) if write.row}
        for chunk in seeded(self.ground.tenants, cases.ROWS, self.case.number):
            for row in chunk:
                place = (row.tenant, row.id)
                if place not in opened or (opened[place] not in {row.values, None} and row.id not in written):
                    self.fault("lost", f"row {row.id} of {row.tenant}: {opened.get(place)}, seeded {row.values}")

    def _golden(self, opened):
        """Planted by a rotation, and what is never written is what it was."""
        if self.case.asked == "erasure":
            return
        (table,) = load_columns(self.settings.applications[APPLICATION].encrypted).tables
        texts = {values.email for values in opened.values() if values}
        there = {golden_value(table, "email", number) for number in range(STILL)} & texts
        if len(opened) != STILL + WRITTEN or len(there) != STILL:
            self.fault("lost", f"{len(opened)} golden rows, of those that are never written {sorted(there)}")

    def writes(self):
        """Everything that the application was told was done."""
        checked = check_writes(self.settings, self.traffic.log, erased=self.erased)
        for kind in ("lost", "unreadable", "unfound"):
            for fault in getattr(checked, kind):
                self.fault(kind, f"written row {fault.row} of {fault.tenant}: {fault.seen}")

    def keyring(self):
        """Who has how many generations, and what became of the old ones."""
        rounds = self.operation["round"]
        for tenant in self.ground.tenants:
            generations = self.kept.get(tenant, ())
            if tenant in self.erased:
                self._erased(tenant)
                continue
            states = Counter(each.state for each in generations)
            rotated = self.case.asked != "erasure" and (self.case.asked != "one tenant" or tenant == cases.ONE)
            self._generations(tenant, states, rounds if rotated else 0)
        if self.case.asked != "erasure":
            self._generations(GOLDEN_TENANT, Counter(each.state for each in self.kept[GOLDEN_TENANT]), rounds)

    def _erased(self, tenant):
        """No wrapped key of the tenant is left, and the list of erasures says since when."""
        with connect(keyring_database(self.settings.keyring, self.settings.vault)) as db:
            left = db.execute(_LEFT, [tenant]).fetchall()
        if left:
            self.fault("readable", f"{tenant} has wrapped keys: {left}", len(left))
        with connect(self.settings) as db:
            listed = [each.erased_at for each in erasures(db, tenant)]
        if len(listed) != 1 or listed[0] is None:
            self.fault("unproved", f"{tenant} is erased, by the list: {listed}")

    def _generations(self, tenant, states, rounds):
        added = states.total() - 1
        over = sum(states[state] for state in _OVER)
        # A round that ended UNKNOWN leaves what it made to the next one, or has it in use already.
        if not min(rounds, 1) <= added <= rounds:
            self.fault("doubled", f"{tenant} has {added} new generations after {rounds} rounds: {dict(states)}")
        if states[State.CURRENT] != 1 or over != added:
            self.fault("orphans", f"{tenant}: {dict(states)}")

    def vault(self):
        """One version a round, by its tag; and none is disabled that is needed."""
        with open_versions(self.ground.lane.administrator) as vault:
            versions = vault.versions(self.settings.keyring.kek)
        made = Counter(each.tags[MADE_BY] for each in versions if MADE_BY in each.tags)
        rounds = self.operation["round"] if self.case.asked in cases.ALL else 0
        wanted = {f"{self.operation['id']}.{number}" for number in range(1, rounds + 1)}
        if set(made) - wanted or max(made.values(), default=0) > 1 or len(versions) != 1 + made.total():
            self.fault("doubled", f"versions of the vault's key by tag: {dict(made)}, {len(versions)} in all")
        if rounds == 1 and not made:
            self.fault("orphans", "no version of the vault's key was made")
        usable = {each.version for each in versions if each.enabled}
        for tenant, generations in self.kept.items():
            for each in generations:
                if each.state in {State.CURRENT, State.RETIRED} and not any(
                    wrap.kek.rsplit("/", 1)[-1] in usable for wrap in each.wraps
                ):
                    self.fault("orphans", f"no enabled version opens key {each.key_id} ({each.state}) of {tenant}")

    def evidence(self):
        """What the operation says, and whether the log of it verifies from its stores."""
        if self.operation["verdict"] != "VERIFIED" or self.operation["state"] != "done":
            self.fault("unproved", f"it is {self.operation['state']} {self.operation['verdict']}")
        with connect(self.settings) as db:
            told = [each.verdict for each in list_statements(db, self.case.flow)]
        if not told or told[0] != "VERIFIED":
            self.fault("unproved", f"statements, newest first: {told}")
        words, status = self._verified()
        if status != PROVED:
            # The vault was away when the checkpoint was to be signed: the next statement would, or an operator does.
            try:
                complete(self.settings)
            except StewardError as error:
                words += f"\n{error}"
            else:
                self.tally.completed += 1
                words, status = self._verified()
        if status != PROVED:
            self.fault("unproved", words)

    def _verified(self):
        asked = {
            "path": None,
            "settings": self.ground.settings_file,
            "checkpoint": None,
            "anchors": True,
            "json": False,
        }
        return run_verify(Namespace(**asked, key=[], log_key=[]))

    def journal(self):
        """The vault's own log of this case, beside journal and statements."""
        client = self.settings.vault.client_id
        coverage = measure(self.settings, [self.settings.audit.vault_log], client, self.ground.began)
        for each in (*coverage.uncovered, *coverage.findings):
            self.fault("uncovered", str(each))
