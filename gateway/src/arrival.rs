//! A call as it arrived.

use crate::headers;
use domain::access::carrier::Carrier;
use domain::access::path::RequestPath;
use domain::time::UnixMs;
use domain::token::base62;
use domain::upstream::headers::search::Guarded;
use domain::upstream::headers::{LOOP_MARK, REQUEST_ID, next_hop, request_id};
use edge::clock::now;
use std::net::IpAddr;
use url::Url;
use web_sys::Request;
use worker::{Error, Result};

/// A call and everything read from its request.
#[derive(Debug)]
pub struct Arrival {
    pub request: Request,
    pub url: Url,
    pub path: RequestPath,
    /// In upper case.
    pub method: String,
    pub request_id: String,
    /// Unique. Names the call in its usage event and in the token's counter.
    pub call_id: String,
    pub at: UnixMs,
    pub client_ip: Option<IpAddr>,
    pub origin: Option<String>,
    pub is_websocket: bool,
    /// The header that held our token, once found.
    pub carrier: Option<Carrier>,
    /// Our token, once found. It is never sent on.
    pub presented: Guarded,
    /// The loop mark to send on. `None` if the call has been here before.
    pub hop: Option<String>,
    headers: headers::List,
    /// Whether the response will be read for an AI's usage, and so must be readable.
    pub is_metered: bool,
}

impl Arrival {
    /// Reads the request, but not its body.
    pub fn read(request: Request) -> Result<Self> {
        let at = now();
        let random = edge::crypto::random::<32>().map_err(|e| Error::RustError(e.to_string()))?;
        let (for_request, for_call) = random.split_at(16);
        let url = Url::parse(&request.url())?;
        let headers = headers::read(&request.headers())?;
        let header = |name: &str| headers::get(&headers, name);
        Ok(Self {
            path: RequestPath::of(&url),
            method: request.method().to_ascii_uppercase(),
            request_id: request_id(header(REQUEST_ID), for_request.try_into().unwrap_or_default()),
            call_id: base62(for_call, 22),
            at,
            client_ip: header("cf-connecting-ip").and_then(|ip| ip.parse().ok()),
            origin: header("origin").map(str::to_owned),
            is_websocket: header("upgrade").is_some_and(|to| to.eq_ignore_ascii_case("websocket")),
            carrier: None,
            presented: Guarded::default(),
            hop: next_hop(header(LOOP_MARK), url.authority()),
            headers,
            is_metered: false,
            url,
            request,
        })
    }

    /// Returns the value of a header. `name` is in lower case.
    pub fn header(&self, name: &str) -> Option<String> {
        headers::get(&self.headers, name).map(str::to_owned)
    }

    /// Returns all headers, with names in lower case.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// Returns the gateway's own origin, as the client sees it.
    pub fn gateway(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Whether a body can only be sent as part of the client's own request: `fetch` refuses to make a GET
    /// with one.
    pub fn must_keep_request(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// Returns the announced length of the body.
    pub fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }
}
