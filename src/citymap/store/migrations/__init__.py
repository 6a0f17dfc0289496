"""Forward steps of the store's tables: alembic's environment and one file a revision."""
