"""Real engines on this machine, started for the user: PostgreSQL, S3 and Temporal from their wheels."""

from api.embedded.postgres import EmbeddedPostgres
from api.embedded.s3 import EmbeddedS3
from api.embedded.temporal import SEARCH_ATTRIBUTES, EmbeddedTemporal

__all__ = ["SEARCH_ATTRIBUTES", "EmbeddedPostgres", "EmbeddedS3", "EmbeddedTemporal"]
