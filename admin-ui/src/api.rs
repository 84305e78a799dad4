//! Calls to the admin API. Errors stay typed until they are shown.

use crate::state::session::Pass;
use contract::{Endpoint, Page};
use domain::error::{ErrorEnvelope, FieldError};
use gloo::net::http::{Method, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::rc::Rc;
use web_sys::AbortSignal;
use yew::prelude::*;

/// A person waits for the answer; the API itself gives its stores less than this.
pub const TIMEOUT_S: u32 = 10;
/// A file of many thousand lines takes its time.
const DOWNLOAD_TIMEOUT_S: u32 = 120;
/// A bound on lists that are read to their end, such as the routes of the scope picker.
const MAX_PAGES: usize = 25;

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

impl CallError {
    pub fn status(&self) -> Option<u16> {
        match self.reason {
            Reason::Refused { status, .. } | Reason::Unreadable { status } => Some(status),
            Reason::Unreachable | Reason::TimedOut => None,
        }
    }

    /// The fields that were refused, where that is what is wrong.
    pub fn fields(&self) -> &[FieldError] {
        match &self.reason {
            Reason::Refused { envelope: Some(envelope), .. } => &envelope.details,
            _ => &[],
        }
    }
}

/// The admin API as one person sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    origin: Rc<str>,
    /// Without one only what asks for no session can be called.
    session: Option<Pass>,
    /// The API took the session for ended.
    on_refused: Callback<()>,
}

impl Api {
    pub fn new(origin: &str, session: Option<Pass>, on_refused: Callback<()>) -> Self {
        Self { origin: origin.trim_end_matches('/').into(), session, on_refused }
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Calls an endpoint that takes neither query nor body.
    pub async fn call<E>(&self, parameters: &[&str]) -> Result<E::Response, CallError>
    where
        E: Endpoint<Request = ()>,
        E::Response: DeserializeOwned,
    {
        self.request::<E>(parameters, "", None, &[]).await
    }

    /// The same, where the answer with `status` is as good as one of success.
    pub async fn call_or<E>(&self, status: u16) -> Result<E::Response, CallError>
    where
        E: Endpoint<Request = ()>,
        E::Response: DeserializeOwned,
    {
        let url = self.url::<E>(&[], "");
        let reply = exchange(E::METHOD, &url, &[], None, TIMEOUT_S)
            .await
            .and_then(|reply| read_reply(if reply.0 == status { E::STATUS } else { reply.0 }, &reply.1));
        reply.map_err(|reason| CallError { url, reason })
    }

    /// Reads with a query.
    pub async fn read<E>(&self, parameters: &[&str], query: &E::Request) -> Result<E::Response, CallError>
    where
        E: Endpoint,
        E::Request: Serialize,
        E::Response: DeserializeOwned,
    {
        self.request::<E>(parameters, &query_of(query), None, &[]).await
    }

    /// Reads a list to its end.
    pub async fn read_all<E, T>(&self, query: &E::Request) -> Result<Vec<T>, CallError>
    where
        E: Endpoint<Response = Page<T>>,
        E::Request: Serialize,
        T: DeserializeOwned,
    {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut parameters = serde_json::to_value(query).unwrap_or_default();
            if let Some(parameters) = parameters.as_object_mut() {
                parameters.insert("limit".to_owned(), contract::MAX_LIMIT.into());
                parameters.insert("cursor".to_owned(), cursor.clone().into());
            }
            let page: Page<T> = self.request::<E>(&[], &query_of(&parameters), None, &[]).await?;
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(items)
    }

    /// Reads a file that the API writes as it goes, to its end.
    pub async fn download<E>(&self, query: &E::Request) -> Result<String, CallError>
    where
        E: Endpoint,
        E::Request: Serialize,
    {
        let url = self.url::<E>(&[], &query_of(query));
        let reply = async {
            exchange(E::METHOD, &url, &self.session_header().await?, None, DOWNLOAD_TIMEOUT_S).await
        };
        reply
            .await
            .and_then(|(status, text)| match status {
                200..300 => Ok(text),
                _ => Err(Reason::Refused { status, envelope: serde_json::from_str(&text).ok() }),
            })
            .map_err(|reason| CallError { url, reason })
    }

    async fn session_header(&self) -> Result<Vec<(&'static str, String)>, Reason> {
        let Some(session) = &self.session else { return Ok(vec![]) };
        Ok(session.token().await?.iter().map(|token| ("Authorization", format!("Bearer {token}"))).collect())
    }

    /// Sends a body.
    pub async fn send<E>(&self, parameters: &[&str], body: &E::Request) -> Result<E::Response, CallError>
    where
        E: Endpoint,
        E::Request: Serialize,
        E::Response: DeserializeOwned,
    {
        let body = serde_json::to_value(body).unwrap_or_default();
        self.request::<E>(parameters, "", Some(&body), &[]).await
    }

    /// Sends a body that has no type of its own on this side (secrets cannot be serialised), or that
    /// goes with headers: a version to change, or a key that makes a repeat harmless.
    pub async fn send_value<E>(
        &self,
        parameters: &[&str],
        body: &Value,
        headers: &[(&str, String)],
    ) -> Result<E::Response, CallError>
    where
        E: Endpoint,
        E::Response: DeserializeOwned,
    {
        self.request::<E>(parameters, "", Some(body), headers).await
    }

    fn url<E: Endpoint>(&self, parameters: &[&str], query: &str) -> String {
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{}{mark}{query}", self.origin, E::path(parameters))
    }

    async fn request<E>(
        &self,
        parameters: &[&str],
        query: &str,
        body: Option<&Value>,
        headers: &[(&str, String)],
    ) -> Result<E::Response, CallError>
    where
        E: Endpoint,
        E::Response: DeserializeOwned,
    {
        let url = self.url::<E>(parameters, query);
        let reply = async {
            let mut headers = headers.to_vec();
            // Only where it is asked for: whatever stands outside a session is never sent one.
            if E::ACTION.is_some() {
                headers.extend(self.session_header().await?);
            }
            exchange(E::METHOD, &url, &headers, body, TIMEOUT_S).await
        };
        let reply = reply.await;
        if E::ACTION.is_some() && matches!(reply, Ok((401, _))) {
            self.on_refused.emit(());
        }
        let reply = reply.and_then(|(status, text)| read_reply(status, &text));
        reply.map_err(|reason| CallError { url, reason })
    }
}

/// The admin API in the session that is open.
#[hook]
pub fn use_api() -> Api {
    use_context().unwrap_or_else(|| Api::new("", None, Callback::noop()))
}

/// `If-Match` on a version that was read.
pub fn if_match(version: u64) -> (&'static str, String) {
    ("If-Match", format!("\"{version}\""))
}

/// Reads a JSON file of this site.
pub async fn get_json<T: DeserializeOwned>(path: String) -> Result<T, CallError> {
    let reply = exchange("GET", &path, &[], None, TIMEOUT_S)
        .await
        .and_then(|(status, body)| read_reply(status, &body));
    reply.map_err(|reason| CallError { url: path, reason })
}

/// The fields that are set, as a query.
fn query_of(parameters: &impl Serialize) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Ok(Value::Object(fields)) = serde_json::to_value(parameters) {
        for (name, value) in &fields {
            match value {
                Value::Null => {}
                Value::String(text) => _ = query.append_pair(name, text),
                other => _ = query.append_pair(name, &other.to_string()),
            }
        }
    }
    query.finish()
}

async fn exchange(
    method: &str,
    url: &str,
    headers: &[(&str, String)],
    body: Option<&Value>,
    timeout_s: u32,
) -> Result<(u16, String), Reason> {
    let signal = AbortSignal::timeout_with_u32(timeout_s * 1000);
    let mut request = RequestBuilder::new(url)
        // Always one of the contract's constants; were it not, the API would refuse the GET.
        .method(method.parse().unwrap_or(Method::GET))
        .header("Accept", "application/json")
        .abort_signal(Some(&signal));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = match body {
        Some(body) => request.json(body).map_err(|_| Reason::Unreachable)?.send().await,
        None => request.send().await,
    };
    let response = response.map_err(reason_of)?;
    let text = response.text().await.map_err(reason_of)?;
    Ok((response.status(), text))
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
    use contract::error::ApiError;
    use contract::tokens::{StateFilter, TokenQuery, TokenSort};
    use domain::health::Health;

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

    #[test]
    fn a_query_holds_what_is_set_escaped() {
        let query = TokenQuery {
            search: Some("a&b=c".to_owned()),
            state: Some(StateFilter::Active),
            sort: Some(TokenSort::NewestFirst),
            limit: Some(50),
            ..TokenQuery::default()
        };
        assert_eq!(query_of(&query), "limit=50&search=a%26b%3Dc&sort=-created_at&state=active");
    }
}
