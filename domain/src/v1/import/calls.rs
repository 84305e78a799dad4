//! Calls of the earlier system as usage events.

use super::{ImportedCall, Plan};
use crate::access::path::RequestPath;
use crate::id::{TeamId, TokenId};
use crate::problem::ImportNote;
use crate::time::parse_v1;
use crate::token::TokenHash;
use crate::usage::UsageEvent;
use crate::usage::outcome::Outcome;
use crate::v1::dump::{OCCURRENCE, Row, text};
use crate::v1::kv::digest;
use serde_json::Value;
use std::collections::BTreeMap;

/// Plans the calls. A row that lacks a hash, a time or a status is counted as refused.
pub(super) fn plan_calls(plan: &mut Plan, rows: Vec<Row>) {
    let mut bad = 0_u32;
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for (i, mut row) in rows.into_iter().enumerate() {
        let said = row.remove(OCCURRENCE).and_then(|value| match value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_u64(),
        });
        match call(i, &row) {
            Some(mut call) => {
                let counted = seen.entry(call.event.id.clone()).or_default();
                let times = said.unwrap_or(*counted);
                *counted += 1;
                if times > 0 {
                    call.event.id = format!("{}.{times}", call.event.id);
                }
                plan.calls.push(call);
            }
            None => bad += 1,
        }
    }
    if bad > 0 {
        plan.refuse("calls", "token_usage_logs", ImportNote::BadRows { rows: bad });
    }
}

fn call(place: usize, row: &Row) -> Option<ImportedCall> {
    let number = |name: &str| match row.get(name)? {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let hash: TokenHash = text(row, &["token_hash"])?.parse().ok()?;
    let at = match row.get("timestamp").or_else(|| row.get("created_at"))? {
        Value::Number(n) => n.as_i64()?,
        Value::String(text) => parse_v1(text)?,
        _ => return None,
    };
    let status = number("response_status").filter(|n| (100.0..600.0).contains(n))?;
    let path = RequestPath::parse(text(row, &["route"])?)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above, or clamped here"
    )]
    let (status, latency_ms) =
        (status as u16, number("response_time_ms").unwrap_or(0.0).clamp(0.0, 86_400_000.0) as u32);
    let id = digest(&["call", &serde_json::to_string(row).ok()?], 43);
    Some(ImportedCall {
        row: place,
        hash,
        event: UsageEvent {
            id: format!("imp_{id}"),
            at,
            token_id: TokenId::from(""),
            team: TeamId::from(""),
            route_id: None,
            route_path: Some(path.as_str().into()),
            path: path.as_str().into(),
            method: text(row, &["request_method"]).unwrap_or("GET").to_ascii_uppercase().into(),
            status,
            outcome: Outcome::of_status(status),
            latency_ms,
            gateway_ms: 0,
            duration_ms: None,
            secret: None,
            derived: None,
            bytes_in: None,
            bytes_out: None,
            label: None,
            second: false,
            limit: None,
            retries: 0,
            credential: None,
            refused: vec![],
            upstream_request_id: None,
            error: None,
            client_ip: text(row, &["ip_address"]).map(Into::into),
            user_agent: text(row, &["user_agent"]).map(Into::into),
            country: None,
            trace: None,
            request_id: "import".into(),
            ai: None,
        },
    })
}
