//! A PostgreSQL database of one's own for each test.
