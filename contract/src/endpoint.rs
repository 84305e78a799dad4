//! One endpoint: everything that the API, its clients and its document need to know about it, in one place.

use crate::error::ApiError;
use domain::people::role::Action;

/// One endpoint. The API registers [`Endpoint::PATTERN`], clients call [`Endpoint::path`].
pub trait Endpoint {
    /// The HTTP method, in upper case.
    const METHOD: &'static str;
    /// The path; segments in braces are parameters: `/api/tokens/{id}`.
    const PATTERN: &'static str;
    /// The action that the caller must be allowed to do; `None` if the endpoint requires no session.
    const ACTION: Option<Action>;
    /// The status of a successful response.
    const STATUS: u16 = 200;
    /// A description for people.
    const ABOUT: &'static str;
    /// Everything else that callers and the document need to know.
    const TERMS: Terms;
    /// The query of a `GET`, the body of any other method; `()` if there is none.
    type Request;
    /// The body of a successful response.
    type Response;

    /// Returns the pattern with its parameters filled in, in order.
    fn path(parameters: &[&str]) -> String {
        let mut parameters = parameters.iter();
        let fill = |segment: &str| {
            if segment.starts_with('{') {
                let value = parameters.next().copied().unwrap_or_default();
                url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>().replace('+', "%20")
            } else {
                segment.to_owned()
            }
        };
        Self::PATTERN.split('/').map(fill).collect::<Vec<_>>().join("/")
    }
}

/// Proof of the caller's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// A person's session.
    Session,
    /// A token of this system.
    ApiKey,
    /// An HMAC over the body, under `USAGE_LOG_KEY`.
    Signature,
    /// Svix's signature over the body.
    Svix,
    /// None, and no store is touched.
    Open,
}

/// Whether a request has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// None; the request of a `GET` is its query.
    None,
    /// An empty body counts as `{}`.
    Optional,
    /// The request is refused without a JSON body.
    Required,
}

/// The conditions of an endpoint.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Terms {
    /// The proof of identity that the caller must give.
    pub auth: Auth,
    /// Whether the request has a body.
    pub body: Body,
    /// The longest body that is read, in bytes.
    pub max_body: usize,
    /// Whether it changes something that a restore of the database could lose. It is refused during a restore.
    pub is_change: bool,
    /// Whether it honours `If-Match`.
    pub if_match: bool,
    /// Whether `?dry_run=true` tells what the change would have done to recorded calls, and changes nothing.
    pub dry_run: bool,
    /// Whether its response has an `ETag`; an endpoint with `if_match` always sends one.
    pub etag: bool,
    /// Whether it honours `Idempotency-Key`.
    pub idempotent: bool,
    /// The media type of its response.
    pub media: &'static str,
    /// Another status that the response may have.
    pub other_status: Option<u16>,
    /// Errors in addition to those that follow from the other terms.
    pub errors: &'static [ApiError],
    /// An example request, as JSON. A test checks it against the type.
    pub example: Option<&'static str>,
}

impl Terms {
    /// Derives the default terms from method and action; `is_empty` if the request type has no fields.
    pub const fn of(method: &str, action: Option<Action>, is_empty: bool) -> Self {
        let is_get = matches!(method.as_bytes(), b"GET");
        Self {
            auth: if action.is_some() { Auth::Session } else { Auth::Open },
            body: if is_get || is_empty { Body::None } else { Body::Required },
            // Apart from an import, the largest request is a route with a credential of 8 KB, which is far smaller.
            max_body: 256 * 1_024,
            is_change: !is_get,
            if_match: false,
            dry_run: false,
            etag: false,
            idempotent: false,
            media: "application/json",
            other_status: None,
            errors: &[],
            example: None,
        }
    }
}

/// Declares an endpoint: `Name, "METHOD", "/pattern", action, status, Request => Response`, then each of the
/// [`Terms`] that differs from the default.
macro_rules! endpoint {
    (
        $(#[doc = $doc:literal])* $name:ident, $method:literal, $pattern:literal, $action:expr, $status:literal,
        $request:ty => $response:ty $(, $term:ident: $value:expr)* $(,)?
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl $crate::Endpoint for $name {
            const METHOD: &'static str = $method;
            const PATTERN: &'static str = $pattern;
            const ACTION: Option<domain::people::role::Action> = $action;
            const STATUS: u16 = $status;
            const ABOUT: &'static str = concat!($($doc, "\n"),*);
            const TERMS: $crate::Terms = $crate::Terms {
                $($term: $value,)*
                ..$crate::Terms::of($method, $action, size_of::<$request>() == 0)
            };
            type Request = $request;
            type Response = $response;
        }
    };
}
pub(crate) use endpoint;

/// An endpoint without its types, for tables over all of them.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// [`Endpoint::METHOD`].
    pub method: &'static str,
    /// [`Endpoint::PATTERN`].
    pub pattern: &'static str,
    /// [`Endpoint::ACTION`].
    pub action: Option<Action>,
    /// [`Endpoint::TERMS`].
    pub terms: Terms,
}

impl Row {
    /// Makes the row of an endpoint.
    pub const fn of<E: Endpoint>() -> Self {
        Self { method: E::METHOD, pattern: E::PATTERN, action: E::ACTION, terms: E::TERMS }
    }
}

/// Receives every endpoint with its types.
#[cfg(feature = "schema")]
pub trait Visitor {
    /// Receives one endpoint.
    fn visit<E: Endpoint>(&mut self)
    where
        E::Request: schemars::JsonSchema + serde::de::DeserializeOwned,
        E::Response: schemars::JsonSchema;
}
