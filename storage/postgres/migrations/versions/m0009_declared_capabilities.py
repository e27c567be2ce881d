"""What an operator declares of a model's capabilities stands beside its profile."""

from alembic import op

revision = "0009"
down_revision = "0008"

STATEMENTS = ("ALTER TABLE model_profile ADD COLUMN declared JSONB DEFAULT '{}' NOT NULL",)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
