"""The keyring: tenants, generations of their keys, and the wraps of each; epochs, and how far readers have followed.

What must never happen to a key is refused here, whoever asks: keys are lost by a hasty statement as well as by a bug.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    for statement in (*TABLES, *EPOCHS, *GENERATIONS, *WRAPS, *TENANTS, *WHOLE, *READERS, *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    msg = "keys are not taken back"
    raise NotImplementedError(msg)


# One sequence for all tenants, so that a ciphertext's key id names its tenant too. Gaps are harmless; a number that was
# drawn is wrapped with the key before its row is there, and is never drawn again.
TABLES = (
    "CREATE SEQUENCE keyring.key_ids AS integer MINVALUE 1 NO CYCLE",
    """
CREATE TABLE keyring.tenants (
    tenant text PRIMARY KEY CHECK (octet_length(tenant) BETWEEN 1 AND 255),
    enrolled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- One way: its keys are gone, and nobody of this name is enrolled again.
    erased_at timestamptz NULL
)
""",
    """
CREATE TABLE keyring.generations (
    key_id integer PRIMARY KEY CHECK (key_id >= 1),
    tenant text NOT NULL REFERENCES keyring.tenants,
    number integer NOT NULL CHECK (number >= 1),
    state text NOT NULL CHECK (state IN ('incoming', 'current', 'previous', 'retired', 'destroyed')),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    activated_at timestamptz NULL,
    superseded_at timestamptz NULL,
    retired_at timestamptz NULL,
    destroyed_at timestamptz NULL,
    UNIQUE (tenant, number)
)
""",
    "CREATE UNIQUE INDEX one_current_a_tenant ON keyring.generations (tenant) WHERE state = 'current'",
    "CREATE UNIQUE INDEX one_incoming_a_tenant ON keyring.generations (tenant) WHERE state = 'incoming'",
    """
CREATE TABLE keyring.wraps (
    key_id integer NOT NULL REFERENCES keyring.generations,
    -- The vault's full identifier of the key version.
    kek text NOT NULL CHECK (kek LIKE 'https://%/keys/%/%'),
    -- Under RSA of 2048 to 4096 bits.
    wrapped bytea NOT NULL CHECK (octet_length(wrapped) BETWEEN 256 AND 512),
    -- The order of wrapping: the newest is tried first.
    ordinal bigint GENERATED ALWAYS AS IDENTITY,
    wrapped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (key_id, kek)
)
""",
)

# What changed, in the order in which it could be seen: whoever has loaded at an epoch has seen all before it.
EPOCHS = (
    """
CREATE TABLE keyring.epochs (
    epoch bigint PRIMARY KEY,
    tenant text NOT NULL,
    change text NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    noted_by text NOT NULL DEFAULT session_user
)
""",
    """
CREATE FUNCTION keyring.move_epoch(tenant text, change text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- Held until the transaction ends: an epoch becomes visible after every smaller one, never before.
    LOCK TABLE keyring.epochs IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO keyring.epochs (epoch, tenant, change)
    SELECT coalesce(max(e.epoch), 0) + 1, move_epoch.tenant, move_epoch.change FROM keyring.epochs e;
END $$
""",
)

GENERATIONS = (
    """
CREATE FUNCTION keyring.admit_generation() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE latest record;
BEGIN
    -- A tenant's row orders everything that happens to its keys.
    PERFORM FROM keyring.tenants t WHERE t.tenant = NEW.tenant AND t.erased_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'tenant % is unknown or erased: it gets no generation', NEW.tenant;
    END IF;
    SELECT max(number) AS number, max(key_id) AS key_id INTO latest FROM keyring.generations WHERE tenant = NEW.tenant;
    IF NEW.number <> coalesce(latest.number, 0) + 1 OR NEW.key_id <= coalesce(latest.key_id, 0) THEN
        RAISE EXCEPTION 'generation % (key %) of tenant % does not follow % (key %)',
            NEW.number, NEW.key_id, NEW.tenant, coalesce(latest.number, 0), coalesce(latest.key_id, 0);
    END IF;
    IF NEW.state <> (CASE NEW.number WHEN 1 THEN 'current' ELSE 'incoming' END) THEN
        RAISE EXCEPTION 'generation % of tenant % begins as %', NEW.number, NEW.tenant, NEW.state;
    END IF;
    NEW.activated_at := CASE NEW.state WHEN 'current' THEN clock_timestamp() END;
    NEW.superseded_at := NULL; NEW.retired_at := NULL; NEW.destroyed_at := NULL;
    RETURN NEW;
END $$
""",
    # One step forward at a time, for between two of them somebody waits: for readers, for the sweep, for the grace. Back
    # only from retired, while the key is still there: a ciphertext that was overlooked turns up in the grace.
    """
CREATE FUNCTION keyring.guard_generation() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE moved keyring.generations := OLD;
BEGIN
    IF (NEW.key_id, NEW.tenant, NEW.number, NEW.created_at) IS DISTINCT FROM
       (OLD.key_id, OLD.tenant, OLD.number, OLD.created_at) THEN
        RAISE EXCEPTION 'of generation % of tenant % only the state changes', OLD.number, OLD.tenant;
    END IF;
    IF NEW.state = OLD.state THEN RETURN OLD; END IF;
    IF (OLD.state, NEW.state) NOT IN (('incoming', 'current'), ('current', 'previous'), ('previous', 'retired'),
                                      ('retired', 'previous'), ('retired', 'destroyed'))
       AND NOT (NEW.state = 'destroyed' AND OLD.state <> 'destroyed' AND EXISTS
                (SELECT FROM keyring.tenants t WHERE t.tenant = OLD.tenant AND t.erased_at IS NOT NULL)) THEN
        RAISE EXCEPTION 'generation % of tenant % goes from % to %', OLD.number, OLD.tenant, OLD.state, NEW.state;
    END IF;
    moved.state := NEW.state;
    CASE NEW.state
        WHEN 'current' THEN moved.activated_at := clock_timestamp();
        WHEN 'previous' THEN
            moved.superseded_at := coalesce(OLD.superseded_at, clock_timestamp());
            moved.retired_at := NULL;
        WHEN 'retired' THEN moved.retired_at := clock_timestamp();
        WHEN 'destroyed' THEN moved.destroyed_at := clock_timestamp();
    END CASE;
    RETURN moved;
END $$
""",
    """
CREATE FUNCTION keyring.note_generation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.state <> OLD.state THEN
        PERFORM keyring.move_epoch(NEW.tenant, format('generation %s (key %s) %s', NEW.number, NEW.key_id, NEW.state));
    END IF;
    RETURN NULL;
END $$
""",
    """
CREATE FUNCTION keyring.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of keyring.% is refused: keys are only added, moved on and unwrapped', TG_OP, TG_TABLE_NAME;
END $$
""",
    "CREATE TRIGGER admit BEFORE INSERT ON keyring.generations FOR EACH ROW EXECUTE FUNCTION keyring.admit_generation()",
    "CREATE TRIGGER guard BEFORE UPDATE ON keyring.generations FOR EACH ROW EXECUTE FUNCTION keyring.guard_generation()",
    """
CREATE TRIGGER note AFTER INSERT OR UPDATE ON keyring.generations
FOR EACH ROW EXECUTE FUNCTION keyring.note_generation()
""",
    "CREATE TRIGGER stay BEFORE DELETE ON keyring.generations FOR EACH ROW EXECUTE FUNCTION keyring.refuse()",
    "CREATE TRIGGER never BEFORE TRUNCATE ON keyring.generations EXECUTE FUNCTION keyring.refuse()",
)

WRAPS = (
    """
CREATE FUNCTION keyring.guard_wrap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Two that each remove one of the last two wraps would each see the other's still there.
    PERFORM FROM keyring.generations g WHERE g.key_id = OLD.key_id FOR UPDATE;
    RETURN OLD;
END $$
""",
    """
CREATE FUNCTION keyring.note_wrap() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    told keyring.wraps := CASE TG_OP WHEN 'INSERT' THEN NEW ELSE OLD END;
    did text := CASE TG_OP WHEN 'INSERT' THEN 'wrapped' ELSE 'no longer wrapped' END;
BEGIN
    PERFORM keyring.move_epoch(g.tenant, format('generation %s (key %s) %s under %s', g.number, g.key_id, did, told.kek))
    FROM keyring.generations g WHERE g.key_id = told.key_id;
    RETURN NULL;
END $$
""",
    "CREATE TRIGGER guard BEFORE DELETE ON keyring.wraps FOR EACH ROW EXECUTE FUNCTION keyring.guard_wrap()",
    "CREATE TRIGGER note AFTER INSERT OR DELETE ON keyring.wraps FOR EACH ROW EXECUTE FUNCTION keyring.note_wrap()",
    "CREATE TRIGGER stay BEFORE UPDATE ON keyring.wraps FOR EACH ROW EXECUTE FUNCTION keyring.refuse()",
    "CREATE TRIGGER never BEFORE TRUNCATE ON keyring.wraps EXECUTE FUNCTION keyring.refuse()",
)

TENANTS = (
    """
CREATE FUNCTION keyring.guard_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.tenant <> OLD.tenant OR NEW.enrolled_at <> OLD.enrolled_at OR OLD.erased_at IS NOT NULL THEN
        RAISE EXCEPTION 'tenant % can be erased, once, and nothing else', OLD.tenant;
    END IF;
    RETURN NEW;
END $$
""",
    """
CREATE FUNCTION keyring.note_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM keyring.move_epoch(NEW.tenant, 'erased');
    RETURN NULL;
END $$
""",
    "CREATE TRIGGER guard BEFORE UPDATE ON keyring.tenants FOR EACH ROW EXECUTE FUNCTION keyring.guard_tenant()",
    "CREATE TRIGGER note AFTER UPDATE ON keyring.tenants FOR EACH ROW EXECUTE FUNCTION keyring.note_tenant()",
    "CREATE TRIGGER stay BEFORE DELETE ON keyring.tenants FOR EACH ROW EXECUTE FUNCTION keyring.refuse()",
    "CREATE TRIGGER never BEFORE TRUNCATE ON keyring.tenants EXECUTE FUNCTION keyring.refuse()",
)

# Looked at when a transaction commits, so that a generation and its wrap, or the switch from one current generation to
# the next, come as one.
WHOLE = (
    """
CREATE FUNCTION keyring.check_wrapped() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    id integer := CASE TG_OP WHEN 'DELETE' THEN OLD.key_id ELSE NEW.key_id END;
    held record;
BEGIN
    SELECT g.tenant, g.number, g.state, EXISTS (SELECT FROM keyring.wraps w WHERE w.key_id = g.key_id) AS wrapped
    INTO held FROM keyring.generations g WHERE g.key_id = id;
    IF held.state = 'destroyed' AND held.wrapped THEN
        RAISE EXCEPTION 'generation % of tenant % would be destroyed and still wrapped', held.number, held.tenant;
    ELSIF held.state <> 'destroyed' AND NOT held.wrapped THEN
        RAISE EXCEPTION 'generation % of tenant % would be %, and wrapped by nothing: its key would be lost',
            held.number, held.tenant, held.state;
    END IF;
    RETURN NULL;
END $$
""",
    """
CREATE FUNCTION keyring.check_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE held record;
BEGIN
    SELECT t.erased_at IS NOT NULL AS erased,
           count(g.key_id) FILTER (WHERE g.state = 'current') AS currents,
           count(g.key_id) FILTER (WHERE g.state <> 'destroyed') AS alive
    INTO held FROM keyring.tenants t LEFT JOIN keyring.generations g USING (tenant)
    WHERE t.tenant = NEW.tenant GROUP BY t.tenant;
    IF held.erased AND held.alive > 0 THEN
        RAISE EXCEPTION 'tenant % would be erased, and % of its keys kept', NEW.tenant, held.alive;
    ELSIF NOT held.erased AND held.currents <> 1 THEN
        RAISE EXCEPTION 'tenant % would have % current generations, expected one', NEW.tenant, held.currents;
    END IF;
    RETURN NULL;
END $$
""",
    *(
        f"CREATE CONSTRAINT TRIGGER {check} AFTER {events} ON keyring.{table} DEFERRABLE INITIALLY DEFERRED "
        f"FOR EACH ROW EXECUTE FUNCTION keyring.{check}()"
        for table, check, events in (
            ("generations", "check_wrapped", "INSERT OR UPDATE"),
            ("wraps", "check_wrapped", "INSERT OR DELETE"),
            ("generations", "check_tenant", "INSERT OR UPDATE"),
            ("tenants", "check_tenant", "INSERT OR UPDATE"),
        )
    ),
)

# Processes that hold tenants' keys, and the epoch that everything they hold is at least as new as.
READERS = (
    """
CREATE TABLE keyring.readers (
    reader uuid PRIMARY KEY,
    host text NOT NULL CHECK (octet_length(host) <= 255),
    pid integer NOT NULL,
    epoch bigint NOT NULL CHECK (epoch >= 0),
    -- By this database's clock only.
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
""",
    # The only things that a reader may write, and they are about itself.
    """
CREATE FUNCTION keyring.acknowledge(reader uuid, host text, pid integer, epoch bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    IF acknowledge.epoch > (SELECT coalesce(max(e.epoch), 0) FROM keyring.epochs e) THEN
        RAISE EXCEPTION 'epoch % has not been yet', acknowledge.epoch;
    END IF;
    INSERT INTO keyring.readers AS r (reader, host, pid, epoch)
    VALUES (acknowledge.reader, acknowledge.host, acknowledge.pid, acknowledge.epoch)
    ON CONFLICT ON CONSTRAINT readers_pkey
    DO UPDATE SET epoch = greatest(r.epoch, EXCLUDED.epoch), seen_at = clock_timestamp();
    -- Killed processes say no farewell.
    DELETE FROM keyring.readers r WHERE r.seen_at < clock_timestamp() - interval '1 day';
END $$
""",
    """
CREATE FUNCTION keyring.leave(reader uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog
AS $$ DELETE FROM keyring.readers r WHERE r.reader = leave.reader $$
""",
)

GRANTS = (
    "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA keyring FROM PUBLIC",
    "GRANT USAGE ON SCHEMA keyring TO keyring_reader",
    "GRANT SELECT ON ALL TABLES IN SCHEMA keyring TO keyring_reader",
    "GRANT EXECUTE ON FUNCTION keyring.acknowledge, keyring.leave TO keyring_reader",
)
