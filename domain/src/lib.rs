//! Every decision of Token Manager, free of any platform.
//!
//! The gateway, the admin API and the admin UI share this crate, so that the UI can explain a
//! denial with the same code that denied. Nothing here does I/O; time and randomness are arguments.
//!
//! | room | holds |
//! |---|---|
//! | [`token`] | a token's form, its keyed check, the hash it is looked up under |
//! | [`access`] | the whole decision: token record + route + scope → [`access::Permit`] |
//! | [`route`] | which route a path belongs to |
//! | [`upstream`] | the upstream's URL and the way back; headers, CORS, settings, breaker, faults |
//! | [`call`] | a call as data: its head, the attempts that are sent on, the response's headers, its record |
//! | [`credential`] | what is attached to the upstream call, seals, OAuth 2, AWS signatures |
//! | [`limit`] | what a token may use up, and the ledger that counts it |
//! | [`ai`] | what an AI call used and what it costs |
//! | [`alert`] | alerts that leave the building: which, to whom, how often, in which form |
//! | [`audit`] | the chain of hashes over the audit log, its export, the check of an export |
//! | [`usage`] | what is recorded of a call, rollups, what a report reads |
//! | [`dry_run`] | what a change of all this would have done to recorded calls |
//! | [`config`] | configuration as a file: the steps that make the system equal to it |
//! | [`people`] | roles, session claims, what Clerk says |
//! | [`kv`], [`stored`] | values that the two Workers share, and reading those of a newer version |
//! | [`feed`] | changes on their way to the gateway beside KV |
//! | [`canary`] | how soon changes are seen, as the canary measures it |
//! | [`v1`] | the earlier system's values and their import; one folder to delete one day |
//! | [`error`], [`health`] | every error code of the gateway, the envelope of all errors; `/health` |
//! | [`collect`], [`csv`], [`encoding`], [`mac`], [`signature`], [`keys`], [`vars`], [`secret`], [`id`], [`json`], [`method`], [`time`] | small things that the rooms share |

#![warn(missing_docs)]

pub mod access;
pub mod ai;
pub mod alert;
pub mod audit;
pub mod call;
pub mod canary;
pub mod collect;
pub mod config;
pub mod credential;
pub mod csv;
pub mod dry_run;
pub mod encoding;
pub mod error;
pub mod feed;
pub mod health;
pub mod id;
pub mod json;
pub mod keys;
pub mod kv;
pub mod limit;
pub mod mac;
pub mod method;
pub mod metrics;
pub mod people;
pub mod problem;
pub mod route;
pub mod secret;
pub mod signature;
pub mod stored;
pub mod time;
pub mod token;
pub mod trace;
pub mod upstream;
pub mod usage;
pub mod v1;
pub mod vars;
