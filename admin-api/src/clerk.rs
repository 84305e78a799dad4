//! Clerk's Backend API. Errors here fail a request of this API only if Clerk refuses its own part.

use crate::config::ClerkApi;
use domain::error::FieldError;
use domain::id::UserId;
use domain::json;
use domain::people::clerk::{ClerkErrors, ClerkUser};
use edge::timeout::within;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use worker::{Fetch, Headers, Method, Request, RequestInit, RequestRedirect};

/// The longest wait for Clerk; somebody is waiting for a sign-in or after a click.
const TIMEOUT_MS: u64 = 3_000;

/// People on a page of Clerk's list; Clerk allows up to 500.
pub const PAGE: u32 = 100;

#[derive(Debug, thiserror::Error)]
pub enum ClerkError {
    /// Clerk does not accept the request; trying again would not help.
    #[error("Clerk refuses: {0:?}")]
    Refused(Vec<FieldError>),
    #[error("Clerk cannot be reached: {0}")]
    Away(String),
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that `map_err` takes")]
fn away(cause: impl ToString) -> ClerkError {
    ClerkError::Away(cause.to_string())
}

/// Fetches a person; `None` if Clerk does not know them.
pub async fn user(api: &ClerkApi, id: &UserId) -> Result<Option<ClerkUser>, ClerkError> {
    let id: String = url::form_urlencoded::byte_serialize(id.as_str().as_bytes()).collect();
    match call(api, Method::Get, &format!("/v1/users/{id}"), None).await? {
        (404, _) => Ok(None),
        (status, text) => read(status, &text).map(Some),
    }
}

/// Fetches a page of all people, oldest first, so that new people come last. Returns those that can be read, and
/// the number of all entries on the page.
pub async fn users(api: &ClerkApi, offset: u32) -> Result<(Vec<ClerkUser>, u32), ClerkError> {
    let path = format!("/v1/users?limit={PAGE}&offset={offset}&order_by=%2Bcreated_at");
    let (status, text) = call(api, Method::Get, &path, None).await?;
    let entries: Vec<Value> = read(status, &text)?;
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    let users = entries.into_iter().filter_map(|entry| json::read(entry).ok());
    Ok((users.collect(), count))
}

/// Makes an invitation and returns Clerk's id of it. An existing invitation is no obstacle.
pub async fn invite(api: &ClerkApi, email: &str, redirect: Option<&str>) -> Result<String, ClerkError> {
    #[derive(Deserialize)]
    struct Created {
        id: String,
    }
    let body =
        json!({ "email_address": email, "redirect_url": redirect, "notify": true, "ignore_existing": true });
    let (status, text) = call(api, Method::Post, "/v1/invitations", Some(&body)).await?;
    read::<Created>(status, &text).map(|created| created.id)
}

pub async fn revoke(api: &ClerkApi, invitation: &str) -> Result<(), ClerkError> {
    let id: String = url::form_urlencoded::byte_serialize(invitation.as_bytes()).collect();
    let (status, text) = call(api, Method::Post, &format!("/v1/invitations/{id}/revoke"), None).await?;
    read::<Value>(status, &text).map(|_| ())
}

fn read<T: DeserializeOwned>(status: u16, text: &str) -> Result<T, ClerkError> {
    match status {
        200..300 => json::from_text(text).map_err(|_| away("its answer cannot be read")),
        400..500 if !matches!(status, 401 | 403 | 408 | 429) => {
            let errors: Option<ClerkErrors> = json::from_text(text).ok();
            Err(ClerkError::Refused(errors.map(|e| e.fields()).unwrap_or_default()))
        }
        _ => Err(away(format!("status {status}"))),
    }
}

async fn call(
    api: &ClerkApi,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<(u16, String), ClerkError> {
    let headers = Headers::new();
    headers.set("authorization", &format!("Bearer {}", api.key.expose())).map_err(away)?;
    headers.set("content-type", "application/json").map_err(away)?;
    let mut init = RequestInit::new();
    // No redirect is followed: the key is for Clerk alone.
    init.with_method(method).with_headers(headers).with_redirect(RequestRedirect::Manual);
    if let Some(body) = body {
        init.with_body(Some(body.to_string().into()));
    }
    let request = Request::new_with_init(&format!("{}{path}", api.url), &init).map_err(away)?;
    let answer = async {
        let mut response = Fetch::Request(request).send().await.map_err(away)?;
        let text = response.text().await.map_err(away)?;
        Ok((response.status_code(), text))
    };
    within(TIMEOUT_MS, answer).await.map_err(away)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_by_clerk_is_distinguished_from_an_outage() {
        let refused = r#"{"errors":[{"message":"m","code":"c","meta":{"param_name":"email_address"}}]}"#;
        assert!(
            matches!(read::<Value>(422, refused), Err(ClerkError::Refused(fields)) if fields[0].field == "email")
        );
        for status in [401, 403, 408, 429, 500, 503, 302] {
            assert!(matches!(read::<Value>(status, refused), Err(ClerkError::Away(_))), "{status}");
        }
        assert!(matches!(read::<Value>(200, "no json"), Err(ClerkError::Away(_))));
        assert!(read::<Value>(200, "{}").is_ok());
    }
}
