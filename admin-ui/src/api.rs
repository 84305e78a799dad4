//! Calls to the admin API. Errors stay typed until they are shown.

use domain::api::Endpoint;
use domain::error::ErrorEnvelope;
use gloo::net::http::{Method, RequestBuilder};
use serde::de::DeserializeOwned;
use web_sys::AbortSignal;

/// A person waits for the answer; the API itself gives its stores less than this.
pub const TIMEOUT_S: u32 = 10;

/// A call that brought no usable answer, and to where it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    pub url: String,
    pub reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Offline, no such host, or refused by CORS: the browser does not tell which.
    Unreachable,
    TimedOut,
    /// An answer with an error status; the envelope only where the body was one.
    Refused {
        status: u16,
        envelope: Option<ErrorEnvelope>,
    },
    /// A success whose body is not what was asked for.
    Unreadable {
        status: u16,
    },
}

/// Calls an endpoint that takes no body.
pub async fn call<E>(origin: &str, parameters: &[&str]) -> Result<E::Response, CallError>
where
    E: Endpoint<Request = ()>,
    E::Response: DeserializeOwned,
{
    let url = format!("{}{}", origin.trim_end_matches('/'), E::path(parameters));
    send(E::METHOD, url).await
}

/// Reads a JSON file of this site.
pub async fn get_json<T: DeserializeOwned>(path: String) -> Result<T, CallError> {
    send("GET", path).await
}

async fn send<T: DeserializeOwned>(method: &str, url: String) -> Result<T, CallError> {
    match exchange(method, &url).await.and_then(|(status, body)| read_reply(status, &body)) {
        Ok(value) => Ok(value),
        Err(reason) => Err(CallError { url, reason }),
    }
}

async fn exchange(method: &str, url: &str) -> Result<(u16, String), Reason> {
    let signal = AbortSignal::timeout_with_u32(TIMEOUT_S * 1000);
    let response = RequestBuilder::new(url)
        // Always one of the contract's constants; were it not, the API would refuse the GET.
        .method(method.parse().unwrap_or(Method::GET))
        .header("Accept", "application/json")
        .abort_signal(Some(&signal))
        .send()
        .await
        .map_err(reason_of)?;
    let body = response.text().await.map_err(reason_of)?;
    Ok((response.status(), body))
}

fn reason_of(error: gloo::net::Error) -> Reason {
    match error {
        gloo::net::Error::JsError(error) if error.name == "TimeoutError" => Reason::TimedOut,
        _ => Reason::Unreachable,
    }
}

fn read_reply<T: DeserializeOwned>(status: u16, body: &str) -> Result<T, Reason> {
    if (200..300).contains(&status) {
        serde_json::from_str(body).map_err(|_| Reason::Unreadable { status })
    } else {
        Err(Reason::Refused { status, envelope: serde_json::from_str(body).ok() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::api::Health;
    use domain::error::ApiError;

    #[test]
    fn a_success_is_read_as_what_was_asked_for() {
        let health = read_reply::<Health>(200, r#"{"status":"ok","service":"admin-api","version":"1"}"#);
        assert_eq!(health.unwrap().service, "admin-api");
    }

    #[test]
    fn an_error_keeps_its_envelope() {
        let envelope = ApiError::StoreUnavailable.envelope("req_1");
        let body = serde_json::to_string(&envelope).unwrap();
        let expected = Reason::Refused { status: 503, envelope: Some(envelope) };
        assert_eq!(read_reply::<Health>(503, &body), Err(expected));
    }

    #[test]
    fn an_error_page_of_something_else_is_no_envelope() {
        let reply = read_reply::<Health>(502, "<html>Bad gateway</html>");
        assert_eq!(reply, Err(Reason::Refused { status: 502, envelope: None }));
    }

    #[test]
    fn a_page_served_in_place_of_the_answer_is_unreadable() {
        let reply = read_reply::<Health>(200, "<!doctype html>");
        assert_eq!(reply, Err(Reason::Unreadable { status: 200 }));
    }
}
