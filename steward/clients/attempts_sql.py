"""The ledger's statements on attempts. A batch is one parameter, a JSON array of rows, and one commit."""

from __future__ import annotations

from typing import LiteralString

_ASKED: LiteralString = (
    "id, request, ordinal, worker, tenant, project, key_id, provider, account, credential_version, alias, model_asked, "
    "tier_asked, is_stream, reserved_input, reserved_output, state"
)

# The id is the client's own: one that is there already is this very batch, whose answer was lost, and is compared.
ENTER: LiteralString = f"""
INSERT INTO steward.ai_attempts ({_ASKED})
SELECT {_ASKED} FROM json_populate_recordset(NULL::steward.ai_attempts, %(rows)s::json)
ON CONFLICT (id) DO NOTHING
RETURNING id
"""  # noqa: S608  made of this file's own words

# Locked in one order, so that batches of several workers and the sweeper do not wait for each other in a circle.
# Which state follows which is the database's to refuse; here it tells a repeat from a first time.
MOVE: LiteralString = """
WITH told AS (
    SELECT * FROM json_populate_recordset(NULL::steward.ai_attempts, %(rows)s::json)
), held AS (
    SELECT a.id FROM steward.ai_attempts AS a JOIN told ON told.id = a.id
     WHERE (a.state || '>' || told.state) = ANY ('{reserved>sent,reserved>aborted,sent>settled,sent>aborted,sent>unknown,'
                                                 'unknown>settled,unknown>aborted}')
     ORDER BY a.id FOR UPDATE OF a
)
UPDATE steward.ai_attempts AS a
   SET state = told.state, ending = told.ending, http_status = told.http_status, error_class = told.error_class,
       provider_request_id = told.provider_request_id, repeated_request_id = told.repeated_request_id,
       model_served = told.model_served, tier_served = told.tier_served, prices_version = told.prices_version,
       first_token_ms = told.first_token_ms, latency_ms = told.latency_ms, input_uncached = told.input_uncached,
       input_cached = told.input_cached, cache_write = told.cache_write, cache_write_5m = told.cache_write_5m,
       cache_write_1h = told.cache_write_1h, output = told.output, reasoning = told.reasoning,
       audio_input = told.audio_input, audio_output = told.audio_output, web_searches = told.web_searches,
       web_fetches = told.web_fetches, is_estimate = coalesce(told.is_estimate, false), input_low = told.input_low,
       input_high = told.input_high, output_low = told.output_low, output_high = told.output_high
  FROM told, held
 WHERE a.id = told.id AND held.id = a.id
RETURNING a.id
"""

READ: LiteralString = "SELECT id, to_jsonb(a) AS row FROM steward.ai_attempts AS a WHERE id = ANY(%(ids)s)"

# One row a process, renewed while it lives.
WORK: LiteralString = """
INSERT INTO steward.ai_workers AS w (id, name, lease, lease_until, credentials)
VALUES (%(id)s, %(name)s, %(lease)s, clock_timestamp() + %(lease)s::interval, %(credentials)s)
ON CONFLICT (id) DO UPDATE
   SET lease_until = clock_timestamp() + w.lease, ended_at = NULL, credentials = excluded.credentials
"""

END_WORK: LiteralString = """
UPDATE steward.ai_workers SET ended_at = clock_timestamp(), lease_until = clock_timestamp() WHERE id = %(id)s
"""

_DEAD: LiteralString = """
    NOT EXISTS (SELECT FROM steward.ai_workers AS w
                 WHERE w.id = a.worker AND w.ended_at IS NULL AND NOT steward.expired(w.lease_until, w.lease))
"""

# Rows that are being settled in this moment are left to whoever settles them.
SWEEP: LiteralString = f"""
WITH left_behind AS (
    SELECT a.id, a.state FROM steward.ai_attempts AS a
     WHERE a.state IN ('reserved', 'sent')
       AND (a.reserved_at < clock_timestamp() - CASE a.state WHEN 'sent' THEN %(sent)s ELSE %(reserved)s END::interval
            OR {_DEAD})
     ORDER BY a.id LIMIT %(most)s FOR UPDATE SKIP LOCKED
)
UPDATE steward.ai_attempts AS a
   SET state = CASE l.state WHEN 'sent' THEN 'unknown' ELSE 'aborted' END,
       ending = CASE l.state WHEN 'sent' THEN 'lost' ELSE 'not_sent' END
  FROM left_behind AS l
 WHERE a.id = l.id
RETURNING a.state
"""  # noqa: S608  made of this file's own words

# Nothing refers to them any more but rows that are over.
FORGET_WORKERS: LiteralString = """
DELETE FROM steward.ai_workers AS w WHERE greatest(w.lease_until, w.ended_at) < clock_timestamp() - interval '30 days'
   AND NOT EXISTS (SELECT FROM steward.ai_attempts AS a WHERE a.worker = w.id AND a.state IN ('reserved', 'sent'))
"""
