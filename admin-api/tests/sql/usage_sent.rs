//! Calls and messages as tests send them.

use super::DAY_MS;
use admin_api::intake::Keyed;
use domain::time::UnixMs;
use domain::usage::key::MessageKey;
use domain::usage::outcome::Outcome;
use domain::usage::{UsageEvent, UsageMessage};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

pub const START: UnixMs = 20_454 * DAY_MS;

/// Randomness that a seed determines.
pub struct Seeded(pub TestRng);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }

    pub fn usize_below(&mut self, n: usize) -> usize {
        usize::try_from(self.below(u64::try_from(n).unwrap())).unwrap()
    }
}

pub fn call(id: &str, at: UnixMs, token: u64, route: u64) -> UsageEvent {
    UsageEvent {
        id: id.to_owned(),
        at,
        token_id: format!("tok_{token:024}").into(),
        team: format!("team-{}", token % 5).into(),
        secret: Some("0123456789ab".into()),
        derived: None,
        route_id: Some(format!("rte_{route:024}").into()),
        route_path: Some(format!("/api/service-{route}").into()),
        path: format!("/api/service-{route}/items").into(),
        method: "GET".into(),
        status: 200,
        outcome: Outcome::Ok,
        latency_ms: u32::try_from(20 + at.rem_euclid(400)).unwrap(),
        gateway_ms: 2,
        duration_ms: None,
        bytes_in: None,
        label: None,
        second: false,
        limit: None,
        retries: 0,
        credential: None,
        refused: vec![],
        upstream_request_id: None,
        error: None,
        bytes_out: Some(u64::try_from(500 + at.rem_euclid(3_000)).unwrap()),
        client_ip: Some("203.0.113.7".into()),
        user_agent: Some("n8n".into()),
        country: Some("TW".into()),
        trace: None,
        request_id: format!("req_{id}").into(),
        ai: None,
    }
}

pub fn keyed(number: u64, at: UnixMs, events: Vec<UsageEvent>) -> Keyed {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&number.to_le_bytes());
    let key = MessageKey::new(at, random);
    let message =
        UsageMessage { v: 1, key: Some(key.clone()), events, dropped: number % 3, unknown_tokens: 0 };
    Keyed { key, message }
}
