//! Every decision of Token Manager, free of any platform.
//!
//! The gateway, the admin API and the admin UI share this crate, so that the UI can explain a
//! denial with the same code that denied. Nothing here does I/O; time and randomness are arguments.
//!
//! | module | decides |
//! |---|---|
//! | [`token`] | what a token looks like, whether it can be ours, under which key it is looked up |
//! | [`scope`] | what a token may call |
//! | [`route`] | which upstream a path belongs to |
//! | [`upstream`] | the upstream URL, and how `Location` and `Set-Cookie` are mapped back |
//! | [`settings`], [`limit`] | what few routes do besides; what a token may use up |
//! | [`access`] | the whole decision: record + route + scope → [`access::Permit`] |
//! | [`network`] | which client addresses a token's allow-list holds |
//! | [`credential`] | what is attached to the upstream call, and what it is sealed to |
//! | [`breaker`], [`fault`] | when an upstream is left alone; faults that a call asks for |
//! | [`headers`] | which headers pass |
//! | [`cors`] | what a browser of another origin is told |
//! | [`kv`] | the values the two Workers share through KV, in both versions |
//! | [`stored`] | what a version does with values of a newer one |
//! | [`usage`], [`rollup`], [`span`] | what is recorded of a call, how it adds up, what a report reads |
//! | [`ai`], [`price`] | what an AI call used and what it costs |
//! | [`csv`] | files for spreadsheets |
//! | [`import`] | what becomes of the earlier system's data |
//! | [`signature`] | signed requests of other systems |
//! | [`sigv4`], [`aws_chunked`] | requests signed for AWS, and the framing of its uploads |
//! | [`role`] | what a signed-in person may do |
//! | [`clerk`] | what Clerk says of people, and whether it was Clerk |
//! | [`session`] | whether a session JWT's claims hold |
//! | [`api`] | the admin API's endpoints, requests and responses |
//! | [`error`] | every error code on the wire, and the envelope |

pub mod access;
pub mod ai;
pub mod api;
pub mod aws_chunked;
pub mod breaker;
pub mod clerk;
pub mod cors;
pub mod credential;
pub mod csv;
pub mod error;
pub mod fault;
pub mod headers;
pub mod id;
pub mod import;
pub mod kv;
pub mod limit;
pub mod method;
pub mod network;
mod object;
#[cfg(feature = "schema")]
pub mod openapi;
pub mod price;
pub mod role;
pub mod rollup;
pub mod route;
pub mod scope;
pub mod secret;
pub mod session;
pub mod settings;
pub mod signature;
pub mod sigv4;
pub mod span;
pub mod stored;
pub mod time;
pub mod token;
pub mod upstream;
pub mod usage;
pub mod vars;
