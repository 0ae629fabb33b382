-- What the twins know: append-only for attempts and their ends; a repeated start mends nothing and loses nothing.
CREATE TABLE IF NOT EXISTS arrivals (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id TEXT NOT NULL UNIQUE,
    client_request_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    account TEXT NOT NULL,
    project TEXT NOT NULL,
    key_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    stream INTEGER NOT NULL,
    model_asked TEXT NOT NULL,
    tier_asked TEXT NOT NULL,
    arrived_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS arrivals_client ON arrivals (client_request_id);
CREATE TABLE IF NOT EXISTS ends (
    seq INTEGER PRIMARY KEY REFERENCES arrivals,
    ended_at REAL NOT NULL,
    status INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    model_served TEXT NOT NULL,
    tier_served TEXT NOT NULL,
    input_uncached INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    cache_write_30m INTEGER NOT NULL,
    output INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    web_searches INTEGER NOT NULL,
    long_context INTEGER NOT NULL,
    billed INTEGER NOT NULL
);
CREATE TRIGGER IF NOT EXISTS arrivals_stay BEFORE UPDATE ON arrivals BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS arrivals_last BEFORE DELETE ON arrivals BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS ends_stay BEFORE UPDATE ON ends BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS ends_last BEFORE DELETE ON ends BEGIN SELECT RAISE(ABORT, 'append-only'); END;
-- Usage of a minute that became known late, or was taken back: signed, and visible from a moment on.
CREATE TABLE IF NOT EXISTS restatements (
    id INTEGER PRIMARY KEY,
    visible_at REAL NOT NULL,
    minute INTEGER NOT NULL,
    provider TEXT NOT NULL,
    account TEXT NOT NULL,
    project TEXT NOT NULL,
    key_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    model TEXT NOT NULL,
    tier TEXT NOT NULL,
    long_context INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    input_uncached INTEGER NOT NULL,
    cache_read INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    cache_write_30m INTEGER NOT NULL,
    output INTEGER NOT NULL,
    web_searches INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS credits (
    id INTEGER PRIMARY KEY,
    provider TEXT NOT NULL,
    account TEXT NOT NULL,
    month TEXT NOT NULL,
    description TEXT NOT NULL,
    amount TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    account TEXT NOT NULL,
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    role TEXT NOT NULL,
    service_account TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL,
    last_used_at REAL
);
