//! Questions to a ledger's keeper, and its responses, as JSON.
//!
//! A token's keeper is asked by isolates of the gateway, a team's keeper by those of its tokens. Whoever has leased
//! something reports its whole state each time, so a lost response or a repeated request changes nothing.

use super::zone::Zone;
use super::{LimitKind, Limits};
use crate::id::{TeamId, TokenId};
use crate::stored::readable;
use crate::time::UnixMs;
use serde::{Deserialize, Deserializer, Serialize};

/// How far one limit is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LimitUse {
    /// The limit.
    pub kind: LimitKind,
    /// Its value.
    pub limit: u64,
    /// The amount spent; for a sliding window, the amount in it now.
    pub used: u64,
    /// Held for calls that have not ended, and lent to the gateway's isolates.
    pub reserved: u64,
    /// When the whole limit is free again, unix ms.
    pub resets_at: UnixMs,
}

impl LimitUse {
    /// Whether it would refuse a call now. Budgets never refuse a call that costs nothing.
    pub fn refuses(&self, costs: bool) -> bool {
        self.remaining() == 0 && (costs || !self.kind.measure().is_budget())
    }

    /// Returns what is neither used nor reserved.
    pub fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used).saturating_sub(self.reserved)
    }
}

/// Amounts of AI tokens and money; as an upper bound of what a call may use, zero for calls to non-AI routes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ask {
    /// AI tokens.
    pub tokens: u64,
    /// Micro-dollars.
    pub micros: u64,
}

impl Ask {
    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Applies `f` to each amount.
    #[must_use]
    pub fn with(self, other: Self, f: fn(u64, u64) -> u64) -> Self {
        Self { tokens: f(self.tokens, other.tokens), micros: f(self.micros, other.micros) }
    }

    /// Returns the sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// Returns what is left without `other`, at least nothing.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        self.with(other, u64::saturating_sub)
    }

    /// Whether both amounts fit into `other`.
    pub fn fits(self, other: Self) -> bool {
        self.tokens <= other.tokens && self.micros <= other.micros
    }
}

/// Actual use of a call; `None` is unknown and keeps the reservation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// AI tokens.
    pub tokens: Option<u64>,
    /// Micro-dollars.
    pub micros: Option<u64>,
}

impl Settlement {
    /// Settlement of a call that was never sent.
    pub const NOTHING: Self = Self { tokens: Some(0), micros: Some(0) };

    /// Returns the amounts of a call that had reserved `ask`.
    pub fn amounts(self, ask: Ask) -> Ask {
        Ask { tokens: self.tokens.unwrap_or(ask.tokens), micros: self.micros.unwrap_or(ask.micros) }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The state of one isolate (for a team's ledger: of one token) towards the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Its id, which is no call's id.
    pub from: String,
    /// Increases with each report; older ones are ignored.
    pub seq: u64,
    /// Calls that it has ever let in by leases.
    #[serde(skip_serializing_if = "is_default")]
    pub used: u64,
    /// Permits that it keeps, because their lease has not ended.
    #[serde(skip_serializing_if = "is_default")]
    pub kept: u64,
    /// Calls of its leases that have not ended.
    #[serde(skip_serializing_if = "is_default")]
    pub open: u64,
    /// Slots that it keeps, those of open calls included.
    #[serde(skip_serializing_if = "is_default")]
    pub slots: u64,
    /// Amounts that its calls have ever used.
    #[serde(skip_serializing_if = "Ask::is_zero")]
    pub spent: Ask,
    /// Reserved for its open calls.
    #[serde(skip_serializing_if = "Ask::is_zero")]
    pub held: Ask,
    /// The rest of its slice that it keeps, because its lease has not ended.
    #[serde(skip_serializing_if = "Ask::is_zero")]
    pub free: Ask,
}

/// The wish for a lease, with the report that must precede it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wish {
    /// The state of whoever asks.
    pub report: Report,
    /// Calls that it expects until the lease ends; 0 asks for no lease.
    pub calls: u64,
    /// Calls at once that it expects.
    pub slots: u64,
    /// How long the lease is to last, in ms.
    pub ms: i64,
}

/// Permits for an isolate, beside the call that asked. The call's own slot and reservation are in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lease {
    /// How long it lasts, in ms from when it was asked for.
    pub ms: i64,
    /// More calls.
    pub calls: u64,
    /// More calls at once.
    pub slots: u64,
    /// Calls in any second; it replaces the share of the lease before.
    pub share: u64,
    /// More to reserve from.
    pub slice: Ask,
}

/// The budget that a token's calls use together with those of its team's other tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamBudget {
    /// The team.
    pub id: TeamId,
    /// The token.
    pub token: TokenId,
    /// Its limits: of AI tokens and money alone.
    pub limits: Limits,
}

/// A call that asks to be let in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Take {
    /// The call's id.
    pub call: String,
    /// The token's limits.
    pub limits: Limits,
    /// The most that it can use.
    pub ask: Ask,
    /// The zone whose days, weeks and months count.
    #[serde(default, skip_serializing_if = "Zone::is_utc")]
    pub zone: Zone,
    /// A budget that counts as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<TeamBudget>,
    /// The lease that the isolate wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<Wish>,
    /// Version of the token's record that the isolate knows.
    #[serde(default, skip_serializing_if = "is_default")]
    pub version: u64,
}

/// A token that asks for a slice of its team's budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// The token's state.
    pub report: Report,
    /// The team's budget.
    pub limits: Limits,
    /// The call that needs it.
    pub ask: Ask,
    /// The need of that call and of the others that wait for the team.
    pub need: Ask,
    /// The zone whose days, weeks and months count.
    #[serde(default, skip_serializing_if = "Zone::is_utc")]
    pub zone: Zone,
}

/// A call of a derived token that may make only so many. It is written as a list of its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "DerivedFields", into = "DerivedFields")]
pub struct DerivedCall {
    /// The call's id.
    pub call: String,
    /// The derived token.
    pub nonce: String,
    /// The most calls that it may make.
    pub calls: u64,
    /// When it ends, unix ms. Its count is kept until then.
    pub ends_at: UnixMs,
    /// Whether the call was refused by a limit, and counts no more.
    pub is_refused: bool,
}

/// Reading a list takes much less code than reading an object.
type DerivedFields = (String, String, u64, UnixMs, bool);

impl From<DerivedFields> for DerivedCall {
    fn from((call, nonce, calls, ends_at, is_refused): DerivedFields) -> Self {
        Self { call, nonce, calls, ends_at, is_refused }
    }
}

impl From<DerivedCall> for DerivedFields {
    fn from(asked: DerivedCall) -> Self {
        (asked.call, asked.nonce, asked.calls, asked.ends_at, asked.is_refused)
    }
}

/// A question to the ledger's keeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the variant's own line tells of its fields")]
pub enum Command {
    /// May the call go on, and what is reserved for it? The response is a `Result<Granted, Limited>`.
    Take(Box<Take>),
    /// May a token's calls use more of this team's budget? The response is a `Result<Granted, Limited>`.
    Slice(Box<Slice>),
    /// The call has ended. The response says whether its reservation was open.
    Settle { call: String, settlement: Settlement },
    /// The call goes on and keeps its reservation. The response says whether that was open.
    Renew { call: String },
    /// The state of an isolate that asks for nothing. The response is `true`.
    Report(Report),
    /// How far are these limits used up? The response is a `Vec<LimitUse>`.
    Uses {
        limits: Box<Limits>,
        #[serde(default, skip_serializing_if = "Zone::is_utc")]
        zone: Zone,
    },
    /// May a derived token make this call, or did a limit refuse it after all? The response is whether it may.
    Derived(DerivedCall),
    /// The token is revoked: nothing of the ledger is needed any more. The response is `true`.
    Forget,
}

/// The response for a call that is let in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// Without the limits of a newer version, and without what is lent to whoever asks.
    #[serde(deserialize_with = "readable")]
    pub uses: Vec<LimitUse>,
    /// Whether the call must be settled when it ends.
    pub to_settle: bool,
    /// The lease, if there is one. The call is then settled by a report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// The newest version of the token's record that any isolate has named.
    #[serde(default, skip_serializing_if = "is_default")]
    pub version: u64,
}

/// The response for a call that is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limited {
    /// A limit of a newer version is read as one of calls a minute.
    #[serde(deserialize_with = "known_kind")]
    pub kind: LimitKind,
    /// Milliseconds until the limit has room for one call.
    pub retry_after_ms: i64,
    /// How far each limit is used up.
    #[serde(deserialize_with = "readable")]
    pub uses: Vec<LimitUse>,
}

fn known_kind<'de, D: Deserializer<'de>>(d: D) -> Result<LimitKind, D::Error> {
    let name = String::deserialize(d)?;
    let known =
        LimitKind::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(&name));
    Ok(known.unwrap_or(LimitKind::CallsPerMinute))
}

/// `Retry-After` in whole seconds, never 0.
pub fn retry_after_s(retry_after_ms: i64) -> i64 {
    retry_after_ms.max(1).saturating_add(999) / 1_000
}

/// The values of `RateLimit-Policy` and `RateLimit`
/// (draft-ietf-httpapi-ratelimit-headers-10): quota and window, what remains and when it resets.
pub fn headers(uses: &[LimitUse], now: UnixMs) -> Option<(String, String)> {
    let mut policy = Vec::with_capacity(uses.len());
    let mut standing = Vec::with_capacity(uses.len());
    for used in uses {
        let name = used.kind.as_str();
        let window = used.kind.measure().window_s().map(|s| format!(";w={s}")).unwrap_or_default();
        policy.push(format!("\"{name}\";q={}{window}", used.limit));
        let reset = retry_after_s(used.resets_at - now);
        standing.push(format!("\"{name}\";r={};t={reset}", used.remaining()));
    }
    (!uses.is_empty()).then(|| (policy.join(", "), standing.join(", ")))
}
