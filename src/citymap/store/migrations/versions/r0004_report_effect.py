"""Whether a confirmed report closes its road, and until when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the two columns."""
    op.add_column(
        "reports", sa.Column("effect", sa.String(8), nullable=False, server_default="auto")
    )
    op.add_column("reports", sa.Column("effect_until", sa.String(27)))
