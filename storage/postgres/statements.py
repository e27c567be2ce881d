"""The five statements of an ingest transaction, in the order they run. Parameters are columns.

``unpacked`` (in the migrations) makes an array of a column that ``batch.packed`` made; the server
inlines it.

Why this order is safe:

* ``BEGIN`` also takes a shared advisory lock whose key is the last event number given out so far.
  Every number of this transaction is higher; a reader that sees the lock stays at or below its key
  (``storage.postgres.events``), so it never passes an event that commits later.
* ``LOCK_TWINS`` locks in identity order, so two batches never wait for each other in a circle.
  Event numbers are taken under these locks: for one charger they rise in commit order.
* ``READ_FACTS`` is a statement of its own because its snapshot must be newer than the locks.
"""

EVENTS_CHANNEL = "ampwave_events"
OUTBOX_CHANNEL = "ampwave_outbox"


BEGIN = """
BEGIN;
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT pg_advisory_xact_lock_shared(x'0A00000000000000'::bigint + last_value - (NOT is_called)::int)
FROM event_sequence
"""
"""Key space of these advisory locks: 0x0A00 in the upper 16 bits, an event number in the lower 48."""

LOCK_TWINS = """
SELECT pg_current_xact_id()::text, count(*) FROM (
    SELECT FROM twin WHERE charger_id = ANY(unpacked($1)) ORDER BY charger_id FOR NO KEY UPDATE
) AS locked
"""
"""Gives the number of the transaction, for whoever has to ask what became of it."""

FATE = "SELECT pg_xact_status($1::text::xid8)"

READ_FACTS = """
SELECT given.charger_id, twin.revision, route.session_epoch, route.node_id, route.boot_id,
       lease.workflow_id, lease.wake_on,
       CASE WHEN twin.revision IS DISTINCT FROM given.revision THEN (
           SELECT jsonb_object_agg(name, reported)::text FROM twin_section s
           WHERE s.charger_id = given.charger_id AND reported IS NOT NULL
       ) END AS sections
FROM unnest(unpacked($1), unpacked($2)::bigint[], unpacked($3)::bool[])
  AS given (charger_id, revision, fenced)
LEFT JOIN twin ON twin.charger_id = given.charger_id
LEFT JOIN charger_route route ON route.charger_id = given.charger_id
LEFT JOIN site_lease lease ON lease.charger_id = given.charger_id
WHERE given.fenced OR lease.workflow_id IS NOT NULL OR twin.revision IS DISTINCT FROM given.revision
"""
"""Only what the batch does not know by itself: a twin that is remembered at its revision, whose charger has
no maintenance and tells nothing of its connection, gives no row."""

STORE = """
WITH journal AS (
    INSERT INTO frame (charger_id, session_epoch, direction, at, text, answer)
    SELECT * FROM unnest(unpacked($1), unpacked($2)::bigint[], unpacked($3), unpacked($4)::timestamptz[],
                         $5::text[], $6::text[])
), given AS MATERIALIZED (
    SELECT nextval('event_sequence') AS sequence, e.*
    FROM unnest(unpacked($7), unpacked($8), unpacked($9), unpacked($10)::timestamptz[],
                unpacked($11)::timestamptz[], unpacked($12)::bigint[], $13::text[]) WITH ORDINALITY
      AS e (charger_id, kind, body, observed_at, received_at, session_epoch, dedupe_key, place)
), stored AS (
    INSERT INTO event (sequence, session_epoch, observed_at, received_at, charger_id, kind, dedupe_key, body)
    SELECT sequence, session_epoch, observed_at, received_at, charger_id, kind, dedupe_key, body::jsonb
    FROM given
    ON CONFLICT (charger_id, dedupe_key) WHERE dedupe_key IS NOT NULL DO NOTHING
    RETURNING sequence
)
SELECT place - 1 AS place, sequence FROM given JOIN stored USING (sequence) ORDER BY place
"""

APPLY = """
WITH sections AS (
    INSERT INTO twin_section (charger_id, name, reported, reported_version)
    SELECT charger_id, name, reported::jsonb, version
    FROM unnest(unpacked($1), unpacked($2), unpacked($3), unpacked($4)::bigint[])
      AS s (charger_id, name, reported, version)
    ON CONFLICT (charger_id, name)
    DO UPDATE SET reported = excluded.reported, reported_version = excluded.reported_version
), history AS (
    INSERT INTO twin_history
        (charger_id, revision, section, patch, cause, observed_at, received_at, actor)
    SELECT charger_id, revision, section, patch::jsonb, cause, observed_at, received_at, 'charger'
    FROM unnest(unpacked($5), unpacked($6)::bigint[], unpacked($7), unpacked($8), unpacked($9),
                unpacked($10)::timestamptz[], unpacked($11)::timestamptz[])
      AS h (charger_id, revision, section, patch, cause, observed_at, received_at)
), twins AS (
    UPDATE twin
    SET last_message_at = greatest(twin.last_message_at, heard.at),
        revision = coalesce(now.revision, twin.revision),
        online = coalesce(now.online, twin.online),
        charging = coalesce(now.charging, twin.charging),
        faulted = coalesce(now.faulted, twin.faulted),
        firmware_version = CASE WHEN now.revision IS NULL THEN twin.firmware_version
                                ELSE now.firmware_version END
    FROM unnest(unpacked($12), unpacked($13)::timestamptz[]) AS heard (charger_id, at)
    LEFT JOIN unnest(unpacked($14), unpacked($15)::bigint[], unpacked($16)::bool[], unpacked($17)::bool[],
                     unpacked($18)::bool[], $19::text[])
           AS now (charger_id, revision, online, charging, faulted, firmware_version) USING (charger_id)
    WHERE twin.charger_id = heard.charger_id
)
INSERT INTO outbox (charger_id, workflow_id, sequence, node_id, boot_id, session_epoch)
SELECT * FROM unnest($20::text[], $21::text[], $22::bigint[], $23::text[], $24::text[], $25::bigint[])
"""

NOTE_ANOMALIES = """
INSERT INTO anomaly AS known (charger_id, kind, path, reason, cause, first_seen, last_seen)
SELECT DISTINCT ON (charger_id, kind, path) charger_id, kind, path, reason, cause, at, at
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
  WITH ORDINALITY AS given (charger_id, kind, path, reason, cause, at, place)
WHERE (SELECT count(*) FROM anomaly a WHERE a.charger_id = given.charger_id) < 200
   OR EXISTS (SELECT FROM anomaly a
              WHERE (a.charger_id, a.kind, a.path) = (given.charger_id, given.kind, given.path))
ORDER BY charger_id, kind, path, place DESC
ON CONFLICT (charger_id, kind, path) DO UPDATE
SET reason = excluded.reason, cause = excluded.cause, last_seen = excluded.last_seen,
    times = known.times + 1
"""
"""Only when there is something to note: a charger that keeps to the schema pays nothing. A charger that
invents names without end fills a few hundred rows, no more."""
