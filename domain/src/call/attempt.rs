//! One attempt at an upstream: the request as it is sent, and the ways in which it can fail.

use super::head::Head;
use super::outgoing::Outgoing;
use crate::access::Permit;
use crate::access::carrier::Carrier;
use crate::ai::renamed::{in_url, names_of};
use crate::error::GatewayError;
use crate::problem::BuildError;
use crate::trace::{Place, TRACEPARENT};
use crate::upstream::headers::search::Guarded;
use crate::upstream::headers::{LOOP_MARK, REQUEST_ID, RequestHygiene, query_without_token};
use crate::upstream::target::RouteCredential;
use crate::upstream::upstream_url;

/// Facts about a call that decide on its requests.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The call as it arrived.
    pub head: &'a Head,
    /// The header that held our token.
    pub carrier: Option<Carrier>,
    /// Our token, which is never sent on.
    pub presented: &'a Guarded,
    /// The call's id.
    pub request_id: &'a str,
    /// The call's own id, if the upstream is to learn the call's place in its trace.
    pub traced: Option<&'a str>,
    /// The loop mark to send on.
    pub hop: &'a str,
    /// Whether the response is read for an AI's usage, and so must be readable.
    pub is_metered: bool,
    /// Whether the body is not the client's own stream: its length may differ from the client's.
    pub has_own_body: bool,
}

impl<'a> Sender<'a> {
    /// Makes the request to the permit's upstream, still without a credential. The permit is a parameter, so code that
    /// skips the decision does not compile.
    ///
    /// # Errors
    /// The reason why the path leads to no address of the upstream.
    pub fn request(&self, permit: &Permit) -> Result<Outgoing<'a>, BuildError> {
        let head = self.head;
        let query = head.url().query().and_then(|query| query_without_token(query, self.presented));
        let mount = permit.mount();
        let url = upstream_url(mount, head.url().path(), query.as_deref())?;
        let renamed = names_of(permit).and_then(|renames| in_url(&url, mount, renames));
        let url = renamed.unwrap_or(url);
        let behaviour = &permit.route().behaviour;
        let hygiene = RequestHygiene {
            carrier: self.carrier,
            connection: head.header("connection"),
            forward_cookies: behaviour.forward_cookies,
            has_credential: permit.origin().target.credential != RouteCredential::None,
            answers_cors: !behaviour.cors_origins.is_empty(),
        };
        let mut request = Outgoing::new(url, Some(head));
        for (name, value) in hygiene.edits(head.headers(), self.presented) {
            match value {
                Some(value) => request.set(name, value),
                None => request.remove(name),
            }
        }
        if head.is_websocket() {
            request.set("upgrade", "websocket");
        }
        if self.is_metered {
            // We cannot read a browser's `zstd`, and a stream compressed again would lose its flushes.
            request.set("accept-encoding", "identity");
        }
        if self.has_own_body {
            // The platform announces the length itself.
            request.remove("content-length");
        }
        request.set(REQUEST_ID, self.request_id);
        if let Some(call_id) = self.traced {
            request.set(TRACEPARENT, Place::of_call(call_id, head.header(TRACEPARENT)).header());
        }
        request.set(LOOP_MARK, self.hop);
        Ok(request)
    }
}

/// The reason why an attempt brought no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptFault {
    /// No first byte within the route's time.
    Timeout,
    /// The upstream cannot be reached, or broke off.
    Unreachable,
    /// The client broke its upload off.
    ClientGone,
    /// Nothing was sent.
    NotSent(GatewayError),
}

impl AttemptFault {
    /// Whether the upstream is to blame.
    pub fn is_upstreams(self) -> bool {
        matches!(self, Self::Timeout | Self::Unreachable)
    }

    /// Returns the error for the client.
    pub fn error(self) -> GatewayError {
        match self {
            Self::Timeout => GatewayError::GatewayTimeout,
            Self::Unreachable | Self::ClientGone => GatewayError::BadGateway,
            Self::NotSent(error) => error,
        }
    }
}

impl From<GatewayError> for AttemptFault {
    fn from(error: GatewayError) -> Self {
        Self::NotSent(error)
    }
}
