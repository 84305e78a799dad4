//! `/api/dashboard/audit-logs`: who changed what, and who tried to.

use crate::{Page, endpoint};
use domain::id::TeamId;
use domain::people::role::Action;
use domain::time::UnixMs;
use serde::{Deserialize, Serialize};
use serde_json::Value;

endpoint!(
    /// Changes and refused attempts, newest first; see [`AuditQuery`].
    ListAudit, "GET", "/api/dashboard/audit-logs", Some(Action::ReadAudit), 200, AuditQuery => Page<AuditEntry>
);

endpoint!(
    /// The same as CSV, streamed to the end. `limit` and `cursor` are not taken.
    ExportAudit, "GET", "/api/dashboard/audit-logs/export", Some(Action::ReadAudit), 200, AuditQuery => String
);

/// Query of the list, all optional. Times are unix ms or RFC 3339.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Such as `create-token`.
    pub action: Option<String>,
    /// Such as `token`.
    pub entity: Option<String>,
    pub entity_id: Option<String>,
    /// A user id, or `system`.
    pub actor: Option<String>,
    pub team_id: Option<TeamId>,
    pub result: Option<AuditResult>,
    pub from: Option<String>,
    /// Exclusive.
    pub to: Option<String>,
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    pub cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AuditResult {
    Done,
    /// The caller's role did not allow it.
    Refused,
}

/// One change, or one refused attempt. Secrets are never in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditEntry {
    pub id: String,
    pub at: UnixMs,
    pub actor: String,
    /// His name or e-mail address, where they are known.
    pub actor_name: Option<String>,
    pub action: String,
    pub result: AuditResult,
    pub entity: String,
    pub entity_id: Option<String>,
    pub team_id: Option<TeamId>,
    pub before: Option<Value>,
    pub after: Option<Value>,
    pub client_ip: Option<String>,
    pub request_id: String,
}
