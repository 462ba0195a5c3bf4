//! The one integration binary: the house's own rules, the command line, the API.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot prepare what it needs has failed"
)]

mod about;
mod access;
mod accounts;
mod audit;
mod bad_requests;
mod batch;
mod capture;
mod client;
mod cold_load;
mod command;
mod concurrency;
mod conditions;
mod configuration;
mod contract;
mod crash;
mod dependencies;
mod doctor;
mod endpoints;
mod fast_path;
mod golden;
mod health;
mod history;
mod hostile_models;
mod house;
mod jobs;
mod joining;
mod keys;
mod limits;
mod loading;
mod logging;
mod metrics;
mod mode;
mod oip;
mod once;
mod predict;
mod process;
mod python_worker;
mod registry;
mod results;
mod serve_file;
mod slow_clients;
mod smoke;
mod sources;
mod tokens;
mod trust_database;
mod trust_deleted;
mod trust_disk;
mod trust_doctor;
mod trust_document;
mod trust_kill;
mod trust_load;
mod trust_memory;
mod trust_restart;
mod uploads;
mod verification;
mod versions;
