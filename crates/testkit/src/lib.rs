//! Test support: a server with a temporary directory, real databases, an injected clock.

pub mod postgres;
