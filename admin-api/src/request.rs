//! One request, in the form that handlers use: caller, body, headers, path, and recorded decisions.

use crate::config::Config;
use crate::db::{Db, StoreError, audit};
use crate::error::Failure;
use crate::paging::{self, parse_query};
use contract::audit::Deed;
use contract::dry_run::{IF_MATCH, PARAMETER, is_asked};
use contract::error::ApiError;
use contract::prices::MAX_MODEL_LEN;
use contract::{Body, Endpoint, Terms};
use domain::error::FieldError;
use domain::id::TeamId;
use domain::json;
use domain::people::grant::{Assign, Grant, Permission};
use domain::people::role::{Action, Caller, Refusal, Role, Subject, authorize};
use domain::problem::Invalid;
use domain::time::UnixMs;
use domain::usage::MAX_ID_LEN;
use edge::clock::now;
use edge::log::{Source, log};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::hash::{DefaultHasher, Hasher};
use std::rc::Rc;
use url::{Url, form_urlencoded};
use worker::{Context, Env, Request};

/// The most bytes of an overlong body that are read and discarded.
const MAX_DISCARDED: usize = 16 * 1_024 * 1_024;
/// The most bytes of an entity's id in the audit log: those of a model's name, the longest.
const MAX_ENTITY_LEN: usize = MAX_MODEL_LEN;

#[derive(Debug)]
pub struct Call {
    pub env: Env,
    pub context: Rc<Context>,
    pub config: Rc<Config>,
    pub request_id: String,
    pub now: UnixMs,
    pub url: Url,
    request: Request,
    /// Values of the pattern's parameters, percent-decoded.
    parameters: Vec<String>,
    /// The person whose session or key came with it, if the endpoint asks for one.
    caller: Option<Caller>,
    /// Whether the change is to be tried and not made.
    is_dry_run: bool,
    /// Whether it is a step of applying a configuration.
    is_step: bool,
    body: Vec<u8>,
    /// A mark that distinguishes the part of the body that was read from other bodies.
    body_mark: u64,
}

/// A requested change, with its names in the audit log.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    pub deed: Deed,
    /// The id of its entity, if it already has one; [`Call::entry`] leaves out one that is none by its length.
    pub id: Option<&'a str>,
    pub team: Option<&'a str>,
}

impl Call {
    pub fn new(
        request: Request,
        env: Env,
        context: Rc<Context>,
        config: Rc<Config>,
        request_id: String,
    ) -> Result<Self, Failure> {
        let url = request.url()?;
        Ok(Self {
            env,
            context,
            config,
            request_id,
            now: now(),
            url,
            request,
            parameters: vec![],
            caller: None,
            is_dry_run: false,
            is_step: false,
            body: vec![],
            body_mark: 0,
        })
    }

    pub fn set_parameters(&mut self, parameters: Vec<String>) {
        self.parameters = parameters;
    }

    pub fn sign_in(&mut self, caller: Caller) {
        self.caller = Some(caller);
    }

    /// Makes it a step of applying a configuration, with a body that need not be read.
    pub fn make_step(&mut self, body: Vec<u8>) {
        self.is_step = true;
        self.body = body;
    }

    /// Whether it is a step of applying a configuration.
    pub fn is_step(&self) -> bool {
        self.is_step
    }

    /// Reads whether the change is to be tried and not made. A change that cannot be tried is refused, since it would be
    /// made.
    pub fn read_dry_run(&mut self, terms: &Terms) -> Result<(), Failure> {
        let parameters = form_urlencoded::parse(self.query().as_bytes());
        self.is_dry_run =
            is_asked(parameters, terms.dry_run).map_err(|problem| Failure::field(PARAMETER, problem))?;
        Ok(())
    }

    /// Whether the change is to be tried and not made.
    pub fn is_dry_run(&self) -> bool {
        self.is_dry_run
    }

    /// Returns the person calling. Endpoints that require no session have none.
    pub fn caller(&self) -> Result<&Caller, Failure> {
        Ok(self.caller.as_ref().ok_or(ApiError::Unauthenticated)?)
    }

    /// Returns the first parameter of the path.
    pub fn id(&self) -> &str {
        self.parameter(0)
    }

    pub fn parameter(&self, index: usize) -> &str {
        self.parameters.get(index).map_or("", String::as_str)
    }

    pub fn db(&self) -> Result<Db, StoreError> {
        Db::open(&self.env)
    }

    pub fn header(&self, name: &str) -> Option<String> {
        self.request.headers().get(name).ok().flatten()
    }

    /// Returns the client address that Cloudflare sets; clients cannot forge it.
    pub fn client_ip(&self) -> Option<String> {
        self.header("cf-connecting-ip")
    }

    pub fn query(&self) -> &str {
        self.url.query().unwrap_or_default()
    }

    /// Returns the body, once [`Call::read_body`] has read it.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Reads the body, up to `max` bytes. It counts them as they arrive, because the announced length may be wrong.
    ///
    /// The rest of a longer body is read for a while and discarded, because many clients see a reset instead
    /// of a response that comes before they have sent everything.
    pub async fn read_body(&mut self, max: usize) -> Result<(), Failure> {
        let announced = self.header("content-length").and_then(|n| n.parse::<u64>().ok());
        if announced.is_some_and(|n| n > MAX_DISCARDED as u64) {
            return Err(ApiError::PayloadTooLarge.into());
        }
        if self.request.inner().body().is_none() {
            return Ok(());
        }
        let unreadable =
            |_| Failure::Fields(ApiError::BadRequest, vec![FieldError::new("body", Invalid::BrokeOff)]);
        let mut stream = self.request.stream().map_err(unreadable)?;
        let (mut body, mut length) = (Vec::new(), 0_usize);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(unreadable)?;
            length = length.saturating_add(chunk.len());
            if length <= max {
                body.extend_from_slice(&chunk);
            } else if length > MAX_DISCARDED {
                break;
            }
        }
        let mut mark = DefaultHasher::new();
        mark.write(&body);
        self.body_mark = mark.finish();
        if length > max {
            return Err(ApiError::PayloadTooLarge.into());
        }
        self.body = body;
        Ok(())
    }

    /// Authorises the change `A`.
    pub fn authorize<A: Permission>(
        &self,
        caller: &Caller,
        subject: Subject,
        attempt: Attempt,
    ) -> Result<Grant<A>, Refusal> {
        self.record(caller, attempt, Grant::ask(caller, subject))
    }

    /// Authorises a person's new role in a team.
    pub fn authorize_role(
        &self,
        caller: &Caller,
        team: &TeamId,
        (present, new): (Option<Role>, Option<Role>),
        attempt: Attempt,
    ) -> Result<Grant<Assign>, Refusal> {
        self.record(caller, attempt, Grant::assign(caller, team, present, new))
    }

    /// Checks the permission for another action that a change requires, besides the one under which it writes.
    pub fn require(
        &self,
        caller: &Caller,
        action: Action,
        subject: Subject,
        attempt: Attempt,
    ) -> Result<(), Refusal> {
        self.record(caller, attempt, authorize(caller, action, subject))
    }

    /// Writes a refused attempt to the audit log, unless it was a dry run. A failure to write it does not change the
    /// response.
    fn record<T>(
        &self,
        caller: &Caller,
        attempt: Attempt,
        decision: Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        if decision.is_err() && !self.is_dry_run {
            self.record_refusal(caller, attempt);
        }
        decision
    }

    fn record_refusal(&self, caller: &Caller, attempt: Attempt) {
        let client_ip = self.client_ip();
        let entry = self.entry(caller.signature(), attempt, client_ip.as_deref());
        let statement = self.db().and_then(|db| {
            audit::insert_refused(&db, &audit::Entry { refused: true, ..entry }, self.body_mark)
                .map(|s| (db, s))
        });
        let request_id = self.request_id.clone();
        self.context.wait_until(async move {
            let written = match statement {
                Ok((db, statement)) => db.batch(vec![statement]).await.map(|_| ()),
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                log(Source::Request(&request_id), "refusal not written to the audit log", &error.to_string());
            }
        });
    }

    /// Makes an entry for the audit log, to be completed with before and after.
    pub fn entry<'a>(
        &'a self,
        actor: &'a str,
        attempt: Attempt<'a>,
        client_ip: Option<&'a str>,
    ) -> audit::Entry<'a> {
        audit::Entry {
            at: self.now,
            actor,
            deed: attempt.deed,
            refused: false,
            // A refused caller may have sent anything.
            entity_id: attempt.id.filter(|id| id.len() <= MAX_ENTITY_LEN),
            team: attempt.team.filter(|team| team.len() <= MAX_ID_LEN),
            before: None,
            after: None,
            client_ip,
            request_id: &self.request_id,
        }
    }

    /// Returns the condition of `If-Match`, if there is one.
    pub fn if_match(&self) -> Option<IfMatch> {
        self.header("if-match").map(IfMatch)
    }
}

/// The value of `If-Match` (RFC 9110, section 13.1.1).
#[derive(Clone, Debug)]
pub struct IfMatch(String);

impl IfMatch {
    /// Returns whether it is `*`, which admits any version.
    pub fn is_any(&self) -> bool {
        self.0.split(',').any(|given| given.trim() == "*")
    }

    /// Returns whether it admits every version, but to a dry run alone.
    pub fn is_for_dry_runs(&self) -> bool {
        self.0 == IF_MATCH
    }

    /// Returns whether one of the tags is this version's, including its weak form.
    ///
    /// RFC 9110 has `If-Match` compare strongly, so that a weak tag never matches: two bodies with one weak
    /// tag may differ. Here they never do, because the tag is the record's version. An edge that compresses a response
    /// weakens its tag, and the client can then send only `W/"3"`.
    pub fn admits(&self, version: u64) -> bool {
        let tag = etag(version);
        let is_ours = |given: &str| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag;
        self.0.split(',').map(str::trim).any(is_ours)
    }
}

pub fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

/// Reads a JSON body: 400 if it is not JSON, 422 with the field if it is the wrong JSON.
pub fn parse_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    paging::read(value_of(body)?)
}

/// Reads the JSON of a body.
fn value_of(body: &[u8]) -> Result<Value, Failure> {
    let value = json::from_request(body).map_err(|error| {
        if let Some(field) = json::twice(&error) {
            return Failure::field(field, Invalid::Twice);
        }
        let place = Invalid::NotJson { line: error.line(), column: error.column() };
        Failure::Fields(ApiError::BadRequest, vec![FieldError::new("body", place)])
    })?;
    // serde would read an array as a struct's fields in order.
    if matches!(value, Value::Array(_)) { Err(Failure::field("body", Invalid::Object)) } else { Ok(value) }
}

/// A request of type `T`, not read yet. A handler reads it only once the caller is authorised, so that callers learn
/// nothing about the fields of records that they may not touch.
#[derive(Debug)]
pub struct Asked<T> {
    read: fn(&Call) -> Result<T, Failure>,
}

impl<T: DeserializeOwned> Asked<T> {
    /// Makes the request of `E`. A constant chooses how it is read, so that a Worker contains no parser that its type
    /// never uses.
    pub fn of<E: Endpoint<Request = T>>() -> Self {
        let read: fn(&Call) -> Result<T, Failure> = match E::TERMS.body {
            Body::None => |call| parse_query(call.query()),
            Body::Optional => |call| parse_body(if call.body.is_empty() { b"{}" } else { &call.body }),
            Body::Required => |call| parse_body(&call.body),
        };
        Self { read }
    }
}

impl<T> Asked<T> {
    pub fn read(&self, call: &Call) -> Result<T, Failure> {
        (self.read)(call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::tokens::RotateTokenRequest;

    #[test]
    fn if_match_accepts_a_tag_that_an_edge_has_weakened() {
        let admits = |value: &str| IfMatch(value.to_owned()).admits(3);
        assert!(admits("\"3\"") && admits("*") && admits("\"2\", \"3\""));
        assert!(admits("W/\"3\"") && admits("W/\"2\", W/\"3\""));
        assert!(!admits("3") && !admits("W/3") && !admits("W/\"33\"") && !admits("\"33\"") && !admits(""));
        assert!(!admits("w/\"3\"") && !admits("W/W/\"3\""));
    }

    #[test]
    fn invalid_json_is_400_and_wrong_json_is_422() {
        let status = |body: &str| match parse_body::<RotateTokenRequest>(body.as_bytes()) {
            Err(Failure::Fields(error, fields)) => (error.status(), fields[0].field.clone()),
            other => panic!("{other:?}"),
        };
        for body in ["", "{", "{} {}", "\"\u{0}", "nonsense"] {
            assert_eq!(status(body), (400, "body".to_owned()), "{body}");
        }
        assert_eq!(status(r#"{"grace_hours":"x"}"#), (422, "grace_hours".to_owned()));
        assert_eq!(status(r#"{"more":1}"#), (422, "more".to_owned()));
        assert_eq!(status(r#"{"grace_hours":1,"grace_hours":2}"#), (422, "grace_hours".to_owned()));
        assert_eq!(status("[[]]"), (422, "body".to_owned()));
        assert!(parse_body::<RotateTokenRequest>(b"{}").is_ok());
    }
}
