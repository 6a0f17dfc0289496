"""Runs the revisions on the connection (and in the transaction) that `store.engine` hands over."""

from alembic import context

from citymap.store.tables import METADATA

connection = context.config.attributes["connection"]
# SQLite's DDL is transactional too once the driver leaves BEGIN to us, as `engine` sees to.
context.configure(connection=connection, target_metadata=METADATA, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
