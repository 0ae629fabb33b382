"""One case's ground: settings, rows under tenants' keys, and the processes of its operation."""

from datetime import UTC, datetime
from multiprocessing import get_context

from demo.customers.enrolment import tenant_names
from demo.customers.seeding import TABLE, seeded
from demo.customers.users import application_keys, database, owner
from steward.clients.postgres import connect
from steward.clients.tenantkeys import open_tenant_keys
from steward.enrolment import enrol
from steward.fieldcrypt import FieldCipher
from steward.operations.ledger import Ledger
from tests.drills.keys import cases
from tests.drills.keys.attempt import Attempt, run

# Everything is imported once: an attempt is a fork of that.
_forking = get_context("forkserver")
_forking.set_forkserver_preload(["__main__", "tests.drills.keys.attempt"])


class Ground:
    """One case's databases, and the operation in them."""

    def __init__(self, lane, case, settings, settings_file) -> None:
        self.lane, self.case, self.settings, self.settings_file = lane, case, settings, settings_file
        self.folder, self.tenants = settings_file.parent, tenant_names(cases.TENANTS)
        self.began = datetime.now(UTC)
        self.processes = []
        self.book = Ledger(settings)

    def begin(self, stop=None):
        """Another attempt's process, which stops itself as *stop* says."""
        attempt = Attempt(
            flow=self.case.flow,
            request=cases.REQUESTS[self.case.asked],
            settings_file=str(self.settings_file),
            log=str(self.folder / f"attempt-{len(self.processes) + 1}.log"),
            environment=self.lane.environment,
            stop=stop,
        )
        process = _forking.Process(target=run, args=(attempt,), name=f"case-{self.case.number}")
        process.start()
        self.processes.append(process)
        return process

    def operation(self):
        """The ledger's row; None where no attempt has come so far."""
        rows = self.book.query("SELECT * FROM steward.operations WHERE name = %(name)s", name=self.case.flow)
        return rows[0] if rows else None

    def seed(self):
        """Keys, with evidence of it, and rows under them. The golden tenant has none: the rotation gives it one."""
        enrol(self.settings, self.tenants)
        with (
            open_tenant_keys(*application_keys(self.settings)) as keys,
            connect(database(owner(self.settings), self.settings)) as db,
        ):
            for chunk in seeded(self.tenants, cases.ROWS, self.case.number):
                for row in chunk:
                    db.execute(_INSERT, _sealed(FieldCipher(row.tenant, keys), row))

    def attempts(self):
        return self.book.query("SELECT * FROM steward.operation_attempts ORDER BY token")

    def end(self):
        """No process of the case is left."""
        for process in self.processes:
            process.kill()
            process.join()
        self.book.close()


def _sealed(cipher, row):
    sealed = [cipher.encrypt(TABLE, field, row.id, value) for field, value in row.values._asdict().items()]
    return [row.id, row.tenant, row.plan, *sealed, cipher.blind_index(TABLE, "email", row.values.email)]


_INSERT = """
INSERT INTO customers (id, tenant_id, plan, email, born, notes, email_index) VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
