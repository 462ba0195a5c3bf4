//! The one integration binary: the house's own rules, the command line, the API.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot prepare what it needs has failed"
)]

mod access;
mod accounts;
mod command;
mod configuration;
mod doctor;
mod house;
mod keys;
mod predict;
mod process;
mod registry;
mod serve_file;
mod smoke;
mod tokens;
mod uploads;
