//! `/metrics`: the system in numbers, for a collector such as Prometheus.

use crate::endpoint;
use domain::people::role::Action;

endpoint!(
    /// Shows health, publication and today's calls in Prometheus' text format, version 0.0.4. Counters start again at 00:00
    /// UTC. A collector sends an admin API key as its bearer token.
    GetMetrics, "GET", "/metrics", Some(Action::ReadPublication), 200, () => String,
    media: "text/plain"
);
