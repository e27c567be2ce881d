"""The one table of classes of stored things: add a class by adding a line.

``held`` names what keeps a row however old it is: a condition in SQL over the row ``r``, with ``$1`` the
instant before which the class ages, ``$2`` the one before which nothing is in dispute any more, ``$3`` and
``$4`` times between which all rows in question are. One that is neither true nor false keeps the row. A class
without ``ages_by`` is kept for ever; one with ``removed_by`` is removed elsewhere and only counted here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

_CAMPAIGN = "(SELECT min(c.created_at) - interval '28 days' FROM campaign c WHERE c.finished_at IS NULL)"
"""Gates compare with up to four weeks before a campaign; it may be a long one."""
_BILLED = (
    "'transaction_started', 'transaction_updated', 'transaction_ended', 'meter_values_sampled', "
    "'session_abandoned', 'session_stuck', 'session_questioned'"
)


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where one class lies and what becomes of it."""

    name: str
    what: str
    table: str
    key: str = ""
    """Its primary key, one column: rows are walked by it in small pieces."""
    ages_by: str = ""
    in_order: bool = False
    """The key rises with the time, so walking may stop at the first piece that is young."""
    held: Mapping[str, str] = field(default_factory=dict)
    removed_by: str = ""
    bytes_of: str = ""
    """Sum of bytes in the object store, where the rows only point to them."""


SHELVES = (
    Shelf(
        "frames",
        "raw OCPP messages",
        "frame",
        ages_by="at",
        removed_by="the journal, a partition at a time",
    ),
    Shelf(
        "events",
        "what happened, as canonical events",
        "event",
        key="sequence",
        ages_by="received_at",
        in_order=True,
        held={
            "a campaign that is not over": f"coalesce(r.received_at >= {_CAMPAIGN}, false)",
            "the dispute window": f"r.kind IN ({_BILLED}) AND r.received_at >= $2",
            "a session that is open": (
                "EXISTS (SELECT FROM charging_session s WHERE s.charger_id = r.charger_id AND "
                "s.state IN ('open', 'suspect', 'recovered') AND s.began_at <= r.received_at)"
            ),
            "a projection that has not read it": (
                "r.sequence > "
                "(SELECT CASE WHEN count(*) < 2 THEN 0 ELSE min(p.sequence) END FROM projection p)"
            ),
            "a signal that is on its way": "EXISTS (SELECT FROM outbox o WHERE o.sequence = r.sequence)",
            "a twin's revision": (
                # Of a long history only what is as old: each revision has the time of its event.
                "EXISTS (SELECT FROM twin_history h WHERE h.received_at >= $3 AND h.received_at <= $4 "
                "AND h.charger_id = r.charger_id AND h.cause = 'event/' || r.sequence)"
            ),
        },
    ),
    Shelf(
        "health_hours",
        "health signals by hour",
        "health_hour",
        ages_by="hour",
        removed_by="the observer, after 60 days",
    ),
    Shelf(
        "sessions",
        "records of charging sessions",
        "charging_session",
        ages_by="heard_at",
        held={"it is open": "r.state IN ('open', 'suspect', 'recovered')"},
        removed_by="the observer, once they are closed and out of dispute",
    ),
    Shelf("service_days", "how chargers served, by day and version", "service_day"),
    Shelf(
        "incidents",
        "incidents that are closed",
        "incident",
        key="incident_id",
        ages_by="closed_at",
        held={"it is open": "r.closed_at IS NULL"},
    ),
    Shelf(
        "commands",
        "people's commands to chargers",
        "operator_command",
        key="command_id",
        ages_by="requested_at",
        held={"it has no end yet": "r.finished_at IS NULL"},
    ),
    Shelf(
        "download_tickets",
        "tickets for firmware",
        "download_ticket",
        key="ticket_sha256",
        ages_by="expires_at",
        held={
            "a campaign that is not over": (
                "EXISTS (SELECT FROM campaign_target t JOIN campaign c USING (campaign_id) "
                "WHERE t.charger_id = r.charger_id AND t.phase <> 'done' AND c.finished_at IS NULL)"
            ),
        },
    ),
    Shelf(
        "upload_tickets",
        "tickets for logs",
        "upload_ticket",
        key="ticket_sha256",
        ages_by="expires_at",
        held={
            "a log that is still awaited": (
                "EXISTS (SELECT FROM log_request q WHERE q.request_id = r.request_id "
                "AND q.finished_at IS NULL)"
            )
        },
    ),
    Shelf(
        "logs",
        "logs that chargers uploaded",
        "log_upload",
        ages_by="received_at",
        removed_by="housekeeping, with their objects",
        bytes_of="length",
    ),
    Shelf(
        "notices",
        "what webhooks are told",
        "notice",
        ages_by="at",
        held={
            "a webhook that was not told yet": (
                "EXISTS (SELECT FROM webhook_delivery d WHERE d.notice_id = r.notice_id "
                "AND d.state = 'waiting')"
            )
        },
        removed_by="the herald, after 30 days",
    ),
    Shelf("webhook_deliveries", "who was told of what, and when", "webhook_delivery"),
    Shelf("request_keys", "what the keys of people's acts were used for", "request_key"),
    Shelf("session_ids", "session ids that OCPP 1.6 has us allot", "transaction_id"),
    Shelf("images", "firmware images", "artifact", bytes_of="length"),
    Shelf("twin_history", "every revision of every twin", "twin_history"),
    Shelf("campaign_targets", "what campaigns did to chargers", "campaign_target"),
    Shelf("decisions", "verdicts with their inputs", "decision"),
    Shelf("directives", "signed directives", "directive"),
    Shelf("halts", "halts and who lifted them", "halt"),
    Shelf("audit", "the audit log, a chain that needs every row", "audit"),
)

REMOVABLE = frozenset(shelf.name for shelf in SHELVES if shelf.key and shelf.ages_by)
"""What a round removes; a policy may name these and what is removed elsewhere."""
