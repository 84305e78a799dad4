//! `/api/tokens`: requests, responses, and the checks of requests.

mod check;
mod request;
mod view;

pub use check::{NewToken, TokenChange};
pub(crate) use check::{check_description, check_ip_allow, check_name, check_scope_list};
pub(crate) use request::present;
pub use request::{
    CreateTokenRequest, ExplainRequest, ExtendTokenRequest, FindTokenRequest, RotateTokenRequest,
    StateFilter, TokenQuery, TokenSort, UpdateTokenRequest,
};
pub use view::{Explanation, FoundToken, SecretView, TokenChanged, TokenCreated, TokenView};

use crate::{Body, Page, endpoint};
use domain::people::role::Action;

/// The longest name of a token, route or team, in characters.
pub const MAX_NAME_CHARS: usize = 255;
/// The longest description of a token, route or team, in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 500;
/// The latest expiry of a token, in days from now.
pub const MAX_EXPIRES_DAYS: i64 = 3_650;
/// The most networks in a token's allow-list.
pub const MAX_IP_ALLOW: usize = 50;

endpoint!(
    /// Makes a token. Only this response shows its secret. Honours `Idempotency-Key`.
    CreateToken, "POST", "/api/tokens", Some(Action::CreateToken), 201, CreateTokenRequest => TokenCreated,
    idempotent: true,
    example: Some(r#"{ "name": "Invoices", "team_id": "automation", "scopes": ["openai", "GET /api/echo/*"], "expires_days": 90, "limits": { "calls_per_minute": 60, "cost_micros_per_day": 5000000 } }"#)
);
endpoint!(
    /// Lists the tokens of the teams that the caller may see; see [`TokenQuery`].
    ListTokens, "GET", "/api/tokens", Some(Action::ReadToken), 200, TokenQuery => Page<TokenView>
);
endpoint!(
    /// Returns one token.
    GetToken, "GET", "/api/tokens/{id}", Some(Action::ReadToken), 200, () => TokenView,
    etag: true
);
endpoint!(
    /// Changes the fields that are given. Honours `If-Match`.
    UpdateToken, "PUT", "/api/tokens/{id}", Some(Action::ChangeToken), 200, UpdateTokenRequest => TokenChanged,
    if_match: true,
    dry_run: true,
    example: Some(r#"{ "description": "Sends invoices", "ip_allow": ["203.0.113.0/24"], "limits": { "calls_per_minute": 30 } }"#)
);
endpoint!(
    /// Revokes the token permanently.
    RevokeToken, "DELETE", "/api/tokens/{id}", Some(Action::ChangeToken), 200, () => TokenChanged,
    if_match: true,
    dry_run: true
);
endpoint!(
    /// Refuses the token's calls until it is enabled. A repeat changes nothing.
    DisableToken, "POST", "/api/tokens/{id}/disable", Some(Action::ChangeToken), 200, () => TokenChanged,
    if_match: true,
    dry_run: true
);
endpoint!(
    /// Lets a disabled token work again.
    EnableToken, "POST", "/api/tokens/{id}/enable", Some(Action::ChangeToken), 200, () => TokenChanged,
    if_match: true,
    dry_run: true
);
endpoint!(
    /// Adds a secret and sets an expiry for the others. Honours `Idempotency-Key`.
    RotateToken, "POST", "/api/tokens/{id}/rotate", Some(Action::ChangeToken), 201, RotateTokenRequest => TokenCreated,
    if_match: true,
    idempotent: true,
    body: Body::Optional,
    example: Some(r#"{ "grace_hours": 24 }"#)
);
endpoint!(
    /// Ends the secrets that a rotation left working, so that only the newest works. A repeat changes nothing.
    EndTokenSecrets, "POST", "/api/tokens/{id}/end-secrets", Some(Action::ChangeToken), 200, () => TokenChanged,
    if_match: true
);
endpoint!(
    /// Extends the expiry by `days`, counted from the current expiry or from now, whichever is later.
    ExtendToken, "POST", "/api/tokens/{id}/extend", Some(Action::ChangeToken), 200, ExtendTokenRequest => TokenChanged,
    if_match: true,
    dry_run: true,
    example: Some(r#"{ "days": 90 }"#)
);
endpoint!(
    /// Explains whether a call would be allowed: each step of the gateway's decision with its reason. It
    /// runs the gateway's own function on the current data in D1.
    ExplainToken, "POST", "/api/tokens/{id}/explain", Some(Action::ReadToken), 200, ExplainRequest => Explanation,
    is_change: false,
    example: Some(r#"{ "method": "GET", "path": "/api/openai/models", "client_ip": "203.0.113.7" }"#)
);
endpoint!(
    /// Finds the token that a secret belongs to, by the secret's hash, so that the secret itself is neither sent nor logged.
    FindToken, "POST", "/api/tokens/find", Some(Action::ReadToken), 200, FindTokenRequest => FoundToken,
    is_change: false,
    example: Some(r#"{ "hash": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }"#)
);
endpoint!(
    /// Lists the token's secrets, newest first, without their text.
    ListTokenSecrets, "GET", "/api/tokens/{id}/secrets", Some(Action::ReadToken), 200, () => Page<SecretView>
);
