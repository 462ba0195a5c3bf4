//! Everything that lives in the metadata database, on SQLite and on PostgreSQL.
