//! Clerk's people, webhooks with their Svix signatures, and errors.
//! Shapes: <https://clerk.com/docs/reference/backend-api>; signatures:
//! <https://docs.svix.com/receiving/verifying-payloads/how-manual>.

use crate::encoding::from_base64;
use crate::error::FieldError;
use crate::id::UserId;
use crate::json;
use crate::mac;
use crate::problem::Invalid;
use crate::secret::Secret;
use crate::signature::SignatureError;
use crate::time::{MINUTE_MS, SECOND_MS, UnixMs};
use serde::Deserialize;
use serde_json::Value;

/// How far Svix's clock may be off, either way.
pub const TOLERANCE_MS: i64 = 5 * MINUTE_MS;

/// The secret of a webhook endpoint, `whsec_…`. `Debug` shows nothing.
#[derive(Clone, Debug)]
pub struct WebhookSecret(Secret);

impl WebhookSecret {
    /// Reads a secret. `None` if it is not `whsec_` and base64.
    pub fn parse(text: &str) -> Option<Self> {
        let key = text.trim().strip_prefix("whsec_")?;
        from_base64(key).filter(|key| !key.is_empty())?;
        Some(Self(Secret::new(key.to_owned())))
    }

    /// Checks Svix's three headers over the body as it came, in constant time. One signature of the
    /// list that is right is enough.
    pub fn verify(
        &self,
        id: &str,
        timestamp: &str,
        signatures: &str,
        body: &[u8],
        now: UnixMs,
    ) -> Result<(), SignatureError> {
        let seconds: i64 = timestamp.parse().map_err(|_| SignatureError::Malformed)?;
        let at = seconds.checked_mul(SECOND_MS).ok_or(SignatureError::Malformed)?;
        if !(-TOLERANCE_MS..=TOLERANCE_MS).contains(&now.saturating_sub(at)) {
            return Err(SignatureError::Time);
        }
        let key = from_base64(self.0.expose()).ok_or(SignatureError::Malformed)?;
        let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
        let mut given = signatures.split(' ').filter_map(|one| one.strip_prefix("v1,"));
        let fits = given.any(|text| from_base64(text).is_some_and(|tag| mac::is_tag(&tag, &key, &parts)));
        if fits { Ok(()) } else { Err(SignatureError::Mismatch) }
    }
}

/// A webhook's body. Of the many kinds only those of people concern us.
#[derive(Debug, Deserialize)]
pub struct Webhook {
    /// The kind of event, such as `user.created`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The event's subject, in a shape of its own for each kind.
    pub data: Value,
}

/// The meaning of a webhook.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Created or changed.
    Person(ClerkUser),
    /// The person's account is gone.
    Deleted(UserId),
    /// Nothing that concerns us.
    Other,
}

impl Webhook {
    /// Reads the event. `None` if the data is not of the kind that it says.
    pub fn event(self) -> Option<Event> {
        match self.kind.as_str() {
            "user.created" | "user.updated" => {
                let user: ClerkUser = json::read(self.data).ok()?;
                is_id(user.id.as_str()).then_some(Event::Person(user))
            }
            "user.deleted" => {
                let id = self.data.get("id")?.as_str().filter(|id| is_id(id))?;
                Some(Event::Deleted(UserId::from(id)))
            }
            _ => Some(Event::Other),
        }
    }
}

fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len())
}

/// A person, as the Backend API and the webhooks describe them. Times are unix ms.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ClerkUser {
    /// Clerk's id of the person.
    pub id: UserId,
    #[serde(default)]
    email_addresses: Vec<EmailAddress>,
    #[serde(default)]
    primary_email_address_id: Option<String>,
    #[serde(default)]
    first_name: Option<String>,
    #[serde(default)]
    last_name: Option<String>,
    #[serde(default)]
    image_url: Option<String>,
    /// When they last signed in, unix ms.
    #[serde(default)]
    pub last_sign_in_at: Option<UnixMs>,
    /// When their account was made, unix ms.
    #[serde(default)]
    pub created_at: UnixMs,
    /// When it last changed, unix ms.
    #[serde(default)]
    pub updated_at: UnixMs,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct EmailAddress {
    id: String,
    #[serde(rename = "email_address")]
    text: String,
    #[serde(default)]
    verification: Option<Verification>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Verification {
    #[serde(default)]
    status: Option<String>,
}

impl ClerkUser {
    fn primary(&self) -> Option<&EmailAddress> {
        let primary = self.primary_email_address_id.as_deref();
        self.email_addresses.iter().find(|address| Some(address.id.as_str()) == primary)
    }

    /// The primary address.
    pub fn email(&self) -> Option<&str> {
        self.primary().map(|address| address.text.as_str())
    }

    /// Whether Clerk has verified the primary address.
    pub fn is_verified(&self) -> bool {
        let status = self.primary().and_then(|address| address.verification.as_ref()?.status.as_deref());
        status == Some("verified")
    }

    /// Only an https address: it goes into an `img`.
    pub fn avatar_url(&self) -> Option<&str> {
        self.image_url.as_deref().filter(|url| url.starts_with("https://") && url.len() <= 2_000)
    }

    /// Returns first and last name, or whichever there is.
    pub fn name(&self) -> Option<String> {
        let parts = [self.first_name.as_deref(), self.last_name.as_deref()];
        let name = parts.into_iter().flatten().map(str::trim).filter(|p| !p.is_empty()).collect::<Vec<_>>();
        (!name.is_empty()).then(|| name.join(" "))
    }
}

/// The body of Clerk's errors.
#[derive(Debug, Deserialize)]
pub struct ClerkErrors {
    #[serde(default)]
    errors: Vec<ClerkError>,
}

#[derive(Debug, Deserialize)]
struct ClerkError {
    #[serde(default)]
    message: String,
    #[serde(default)]
    long_message: Option<String>,
    #[serde(default)]
    meta: Option<Value>,
}

impl ClerkErrors {
    /// Maps Clerk's errors to fields of our own request: `email_address` is our `email`.
    pub fn fields(&self) -> Vec<FieldError> {
        let field = |error: &ClerkError| {
            let name = error.meta.as_ref().and_then(|meta| meta.get("param_name")?.as_str());
            let name = name.filter(|name| *name != "email_address").unwrap_or("email");
            let text = error.long_message.as_deref().unwrap_or(&error.message);
            FieldError::new(name, Invalid::Clerk { said: crate::usage::clip(text, 200) })
        };
        self.errors.iter().map(field).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = b"{\"test\": 2432232314}";
    /// The example of Svix's documentation.
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const AT: UnixMs = 1_614_265_330_000;

    fn verify(timestamp: &str, signatures: &str, body: &[u8], now: UnixMs) -> Result<(), SignatureError> {
        WebhookSecret::parse(SECRET).unwrap().verify(ID, timestamp, signatures, body, now)
    }

    #[test]
    fn svixs_own_example_holds() {
        assert_eq!(verify("1614265330", SIGNATURE, BODY, AT), Ok(()));
        let several = format!("v1,AAAA v2,x {SIGNATURE}");
        assert_eq!(verify("1614265330", &several, BODY, AT + TOLERANCE_MS), Ok(()));
    }

    #[test]
    fn anything_else_does_not() {
        assert_eq!(verify("1614265330", SIGNATURE, b"{}", AT), Err(SignatureError::Mismatch));
        assert_eq!(verify("1614265331", SIGNATURE, BODY, AT), Err(SignatureError::Mismatch));
        assert_eq!(verify("1614265330", SIGNATURE, BODY, AT + TOLERANCE_MS + 1), Err(SignatureError::Time));
        assert_eq!(verify("1614265330", SIGNATURE, BODY, AT - TOLERANCE_MS - 1), Err(SignatureError::Time));
        for signatures in ["", "v1,", "v1", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="] {
            assert!(verify("1614265330", signatures, BODY, AT).is_err(), "{signatures}");
        }
        for timestamp in ["", "now", "9223372036854775807"] {
            assert!(verify(timestamp, SIGNATURE, BODY, AT).is_err(), "{timestamp}");
        }
        assert!(WebhookSecret::parse("MfKQ").is_none() && WebhookSecret::parse("whsec_").is_none());
        assert!(!format!("{:?}", WebhookSecret::parse(SECRET)).contains("MfKQ"));
    }

    #[test]
    fn a_person_is_read_by_their_primary_address() {
        let user: ClerkUser = serde_json::from_value(json!({
            "id": "user_1", "object": "user", "first_name": "Ada", "last_name": " ", "image_url": "https://img.example/1",
            "primary_email_address_id": "idn_2", "created_at": 1, "updated_at": 2, "last_sign_in_at": null,
            "email_addresses": [
                {"id": "idn_1", "email_address": "old@example.test", "verification": {"status": "verified", "strategy": "x"}},
                {"id": "idn_2", "email_address": "ada@example.test", "verification": {"status": "unverified"}}],
        }))
        .unwrap();
        assert_eq!((user.email(), user.is_verified()), (Some("ada@example.test"), false));
        assert_eq!(user.name().as_deref(), Some("Ada"));
        let bare: ClerkUser = serde_json::from_value(json!({"id": "user_2"})).unwrap();
        assert_eq!((bare.email(), bare.is_verified(), bare.name()), (None, false, None));
    }

    #[test]
    fn webhooks_of_other_kinds_are_accepted_and_ignored() {
        let event = |text: &str| serde_json::from_str::<Webhook>(text).unwrap().event();
        assert_eq!(event(r#"{"type":"session.created","data":{}}"#), Some(Event::Other));
        let deleted =
            event(r#"{"type":"user.deleted","data":{"id":"user_1","deleted":true,"object":"user"}}"#);
        assert_eq!(deleted, Some(Event::Deleted("user_1".into())));
        assert_eq!(event(r#"{"type":"user.deleted","data":{}}"#), None);
        assert_eq!(event(r#"{"type":"user.created","data":{"id":5}}"#), None);
    }

    #[test]
    fn clerks_errors_name_our_fields() {
        let text = r#"{"errors":[{"message":"is invalid","long_message":"Email address must be valid.","code":"form_param_format_invalid","meta":{"param_name":"email_address"}}],"clerk_trace_id":"x"}"#;
        let fields = serde_json::from_str::<ClerkErrors>(text).unwrap().fields();
        assert_eq!(fields[0].field, "email");
        assert!(fields[0].problem.message.contains("must be valid"));
    }
}
