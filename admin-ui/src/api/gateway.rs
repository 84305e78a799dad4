//! The one call of the gateway from here: the proof that it refuses a secret.

use super::error::Reason;
use super::request::TIMEOUT_S;
use domain::access::exchange::Refused;
use domain::access::path::EXCHANGE_PATH;
use domain::error::GatewayError;
use gloo::net::http::RequestBuilder;
use url::form_urlencoded::Serializer;
use web_sys::AbortSignal;

/// Asks whether the gateway refuses a secret, of which nothing is secret any more: it has been revoked. The secret goes as
/// the subject of an exchange, in a form's body, which browsers send without a preflight; it is in no URL.
pub async fn is_refused(gateway: &str, secret: &str) -> Result<bool, Reason> {
    let form = Serializer::new(String::new())
        .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
        .append_pair("subject_token_type", "urn:ietf:params:oauth:token-type:access_token")
        .append_pair("subject_token", secret)
        .finish();
    let request = RequestBuilder::new(&format!("{gateway}{EXCHANGE_PATH}"))
        .method(gloo::net::http::Method::POST)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .abort_signal(Some(&AbortSignal::timeout_with_u32(TIMEOUT_S * 1000)))
        .body(form)
        .map_err(|_| Reason::Unreachable)?;
    let response = request.send().await.map_err(|_| Reason::Unreachable)?;
    let status = response.status();
    let body = response.text().await.map_err(|_| Reason::Unreachable)?;
    match status {
        // Disabled and revoked tokens look like unknown ones.
        400 => Ok(body == Refused::subject(GatewayError::InvalidApiKey).json()),
        200 => Ok(false),
        status => Err(Reason::Unreadable { status }),
    }
}
