"""Settings as a retention policy, in one place for the worker, the command line and the metrics."""

from api.settings import Settings
from storage.retention import RetentionPolicy


def retention_policy(settings: Settings) -> RetentionPolicy:
    """Days by class. Frames, health hours and logs are removed elsewhere and shown with their own days."""
    return RetentionPolicy(
        {
            "frames": settings.journal_kept_days,
            "events": settings.events_kept_days,
            "health_hours": 60,
            "notices": 30,
            "sessions": session_days(settings),
            "logs": settings.log_kept_days,
            "incidents": settings.incidents_kept_days,
            "commands": settings.commands_kept_days,
            "download_tickets": settings.tickets_kept_days,
            "upload_tickets": settings.tickets_kept_days,
        },
        settings.dispute_days,
    )


def session_days(settings: Settings) -> int:
    """What a dispute is settled by outlives it, whatever else is set."""
    return max(settings.session_kept_days, settings.dispute_days)
