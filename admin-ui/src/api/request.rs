//! One call, built step by step: `api.request::<E>().path(..).body(..).if_match(..).send()`.

use super::ahead::{self, Reply};
use super::error::{CallError, Reason};
use super::pass::Pass;
use contract::dry_run::{DryRun, IF_MATCH, PARAMETER};
use contract::{Endpoint, Page};
use domain::secret::{Reveal, Revealed};
use futures_util::FutureExt;
use gloo::net::http::{Method, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::marker::PhantomData;
use std::rc::Rc;
use url::form_urlencoded::Serializer;
use web_sys::AbortSignal;
use yew::Callback;

/// A person waits for the response; the API itself gives its stores less than this.
pub const TIMEOUT_S: u32 = 10;
/// A file of many thousand lines takes longer.
const DOWNLOAD_TIMEOUT_S: u32 = 120;
/// Bounds lists that are read to their end, such as the routes of the scope picker.
const MAX_PAGES: usize = 25;

/// The admin API as one person sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    origin: Rc<str>,
    /// Without one, only endpoints that need no session can be called.
    session: Option<Pass>,
    /// Emits if the API no longer accepts the session.
    on_refused: Callback<()>,
}

impl Api {
    pub fn new(origin: &str, session: Option<Pass>, on_refused: Callback<()>) -> Self {
        Self { origin: origin.trim_end_matches('/').into(), session, on_refused }
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Begins a call of `E`.
    pub fn request<E: Endpoint>(&self) -> Request<'_, E> {
        Request {
            api: self,
            path: E::path(&[]),
            query: String::new(),
            headers: vec![],
            body: None,
            endpoint: PhantomData,
        }
    }

    /// Reads a list to its end.
    pub async fn read_all<E, T>(&self, query: &E::Request) -> Result<Vec<T>, CallError>
    where
        E: Endpoint<Response = Page<T>>,
        E::Request: Serialize,
        T: DeserializeOwned,
    {
        #[derive(Serialize)]
        struct Position {
            limit: u32,
            cursor: Option<String>,
        }
        let mut items = Vec::new();
        let mut position = Position { limit: contract::MAX_LIMIT, cursor: None };
        for _ in 0..MAX_PAGES {
            let page = self.request::<E>().query(query).add_query(&position).send().await?;
            items.extend(page.items);
            position.cursor = page.next_cursor;
            if position.cursor.is_none() {
                break;
            }
        }
        Ok(items)
    }
}

/// A call of `E` that has not been sent yet. Its body may hold a secret, so it has no `Debug`.
pub struct Request<'a, E> {
    api: &'a Api,
    path: String,
    query: String,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
    endpoint: PhantomData<E>,
}

impl<E: Endpoint> Request<'_, E> {
    /// Fills in the parameters of the endpoint's pattern, in order.
    pub fn path(self, parameters: &[&str]) -> Self {
        Self { path: E::path(parameters), ..self }
    }

    /// Sends the request's fields as a query.
    pub fn query(self, request: &E::Request) -> Self
    where
        E::Request: Serialize,
    {
        self.add_query(request)
    }

    fn add_query(mut self, fields: &impl Serialize) -> Self {
        let start = self.query.len();
        self.query.push_str(if start == 0 { "?" } else { "&" });
        let fields = query_of(fields);
        if fields.is_empty() {
            self.query.truncate(start);
        } else {
            self.query.push_str(&fields);
        }
        self
    }

    /// Sends the request as a JSON body.
    pub fn body(self, request: &E::Request) -> Self
    where
        E::Request: Serialize,
    {
        self.json(request)
    }

    /// Sends a request with its secrets.
    pub fn secret_body(self, request: &E::Request) -> Self
    where
        E::Request: Reveal,
    {
        self.json(&Revealed(request))
    }

    /// No type of the contract fails to serialise; if one did, the API would refuse the missing body.
    fn json(self, body: &impl Serialize) -> Self {
        Self { body: serde_json::to_string(body).ok(), ..self }
    }

    /// Asks for a change of this version only.
    pub fn if_match(self, version: u64) -> Self {
        self.header("If-Match", format!("\"{version}\""))
    }

    /// Names the call, so that a repeat under the same key does nothing twice.
    pub fn idempotency_key(self, key: &str) -> Self {
        self.header("Idempotency-Key", key.to_owned())
    }

    fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Sends the call and reads its response.
    pub async fn send(self) -> Result<E::Response, CallError>
    where
        E::Response: DeserializeOwned,
    {
        self.send_or(E::STATUS).await
    }

    /// Asks what the change would have done to recorded calls. Nothing is changed.
    pub async fn try_out(self) -> Result<DryRun, CallError> {
        let call = self.add_query(&Map::from_iter([(PARAMETER.to_owned(), Value::Bool(true))]));
        let call = call.header("If-Match", IF_MATCH.to_owned());
        call.exchange(TIMEOUT_S, |(status, text)| read_reply(status, &text)).await
    }

    /// Sends the call; a response with `status` counts as a success too.
    pub async fn send_or(self, status: u16) -> Result<E::Response, CallError>
    where
        E::Response: DeserializeOwned,
    {
        let read = |(received, text): (u16, String)| {
            read_reply(if received == status { E::STATUS } else { received }, &text)
        };
        self.exchange(TIMEOUT_S, read).await
    }

    /// Reads a file, which the API writes as it goes, to its end.
    pub async fn download(self) -> Result<String, CallError> {
        self.exchange(DOWNLOAD_TIMEOUT_S, |(status, text)| match status {
            200..300 => Ok(text),
            _ => Err(refused(status, &text)),
        })
        .await
    }

    async fn exchange<T>(
        self,
        timeout_s: u32,
        read: impl FnOnce((u16, String)) -> Result<T, Reason>,
    ) -> Result<T, CallError> {
        let (api, url) = (self.api, self.url());
        let reply = match ahead::take(api.session.as_ref(), &url).filter(|_| E::METHOD == "GET") {
            Some(reply) => reply.await,
            None => self.reply(timeout_s).await,
        };
        if E::ACTION.is_some() && matches!(reply, Ok((401, _))) {
            api.on_refused.emit(());
        }
        reply.and_then(read).map_err(|reason| CallError { url, reason })
    }

    /// Sends a `GET` for a page that is about to be loaded, and then asks for the same.
    pub fn begin(self)
    where
        E: 'static,
    {
        ahead::begin(self.api.session.clone(), self.url(), self.reply(TIMEOUT_S).boxed_local());
    }

    fn url(&self) -> String {
        format!("{}{}{}", self.api.origin, self.path, self.query)
    }

    fn reply(self, timeout_s: u32) -> impl Future<Output = Reply> + use<E> {
        let url = self.url();
        // An endpoint that needs no session is never sent one.
        let session = self.api.session.clone().filter(|_| E::ACTION.is_some());
        let (mut headers, body) = (self.headers, self.body);
        async move {
            if let Some(session) = session {
                let token = session.token().await?;
                headers.extend(token.map(|token| ("Authorization", format!("Bearer {token}"))));
            }
            fetch(E::METHOD, &url, &headers, body, timeout_s).await
        }
    }
}

/// Reads a JSON file of this site.
pub async fn get_json<T: DeserializeOwned>(path: String) -> Result<T, CallError> {
    let reply = fetch("GET", &path, &[], None, TIMEOUT_S).await;
    let reply = reply.and_then(|(status, body)| read_reply(status, &body));
    reply.map_err(|reason| CallError { url: path, reason })
}

/// Writes the fields that are set as a query.
fn query_of(fields: &impl Serialize) -> String {
    let mut query = Serializer::new(String::new());
    if let Ok(Value::Object(fields)) = serde_json::to_value(fields) {
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

async fn fetch(
    method: &str,
    url: &str,
    headers: &[(&str, String)],
    body: Option<String>,
    timeout_s: u32,
) -> Result<(u16, String), Reason> {
    let signal = AbortSignal::timeout_with_u32(timeout_s * 1000);
    let mut request = RequestBuilder::new(url)
        // Always one of the contract's constants; if it were not, the API would refuse the GET.
        .method(method.parse().unwrap_or(Method::GET))
        .header("Accept", "application/json")
        .abort_signal(Some(&signal));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = match body {
        Some(body) => {
            let request = request.header("Content-Type", "application/json").body(body);
            request.map_err(|_| Reason::Unreachable)?.send().await
        }
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

fn refused(status: u16, body: &str) -> Reason {
    Reason::Refused { status, envelope: serde_json::from_str(body).ok() }
}

fn read_reply<T: DeserializeOwned>(status: u16, body: &str) -> Result<T, Reason> {
    if (200..300).contains(&status) {
        serde_json::from_str(body).map_err(|_| Reason::Unreadable { status })
    } else {
        Err(refused(status, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::error::ApiError;
    use contract::routes::SetCredential;
    use contract::tokens::{ListTokens, StateFilter, TokenQuery, TokenSort, UpdateToken, UpdateTokenRequest};
    use domain::credential::Credential;
    use domain::health::Health;
    use domain::secret::Secret;

    #[test]
    fn a_success_is_read_as_the_expected_type() {
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
    fn an_error_page_from_a_proxy_has_no_envelope() {
        let reply = read_reply::<Health>(502, "<html>Bad gateway</html>");
        assert_eq!(reply, Err(Reason::Refused { status: 502, envelope: None }));
    }

    #[test]
    fn a_page_served_in_place_of_the_response_is_unreadable() {
        let reply = read_reply::<Health>(200, "<!doctype html>");
        assert_eq!(reply, Err(Reason::Unreadable { status: 200 }));
    }

    #[test]
    fn a_query_holds_the_fields_that_are_set_escaped() {
        let query = TokenQuery {
            search: Some("a&b=c".to_owned()),
            state: Some(StateFilter::Active),
            sort: Some(TokenSort::NewestFirst),
            limit: Some(50),
            ..TokenQuery::default()
        };
        assert_eq!(query_of(&query), "limit=50&search=a%26b%3Dc&sort=-created_at&state=active");
    }

    #[test]
    fn a_request_is_built_step_by_step() {
        let api = Api::new("https://api.example/", None, Callback::noop());
        let update = UpdateTokenRequest { name: Some("n".to_owned()), ..UpdateTokenRequest::default() };
        let request = api.request::<UpdateToken>().path(&["tok 1"]).body(&update).if_match(3);
        assert_eq!(request.path, "/api/tokens/tok%201");
        assert_eq!(request.body.as_deref(), Some(r#"{"name":"n"}"#));
        assert_eq!(request.headers, [("If-Match", "\"3\"".to_owned())]);
        let query = TokenQuery { limit: Some(5), ..TokenQuery::default() };
        assert_eq!(api.request::<ListTokens>().query(&query).add_query(&query).query, "?limit=5&limit=5");
        assert_eq!(api.request::<ListTokens>().query(&TokenQuery::default()).query, "");
    }

    #[test]
    fn a_credential_is_sent_with_its_secret() {
        let api = Api::new("", None, Callback::noop());
        let credential = Credential::Bearer { token: Secret::new("s3cret".to_owned()) };
        let request = api.request::<SetCredential>().path(&["rte_1"]).secret_body(&credential);
        assert_eq!(request.body.as_deref(), Some(r#"{"kind":"bearer","token":"s3cret"}"#));
        assert!(!format!("{credential:?}").contains("s3cret"));
    }
}
