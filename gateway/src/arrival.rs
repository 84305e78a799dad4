//! A call as it came in.

use crate::headers;
use crate::store::now;
use domain::access::carrier::Carrier;
use domain::access::path::RequestPath;
use domain::time::UnixMs;
use domain::token::base62;
use domain::upstream::headers::search::Guarded;
use domain::upstream::headers::{LOOP_MARK, REQUEST_ID, next_hop, request_id};
use std::net::IpAddr;
use url::Url;
use web_sys::Request;
use worker::{Error, Result};

#[derive(Debug)]
pub struct Arrival {
    pub request: Request,
    pub url: Url,
    pub path: RequestPath,
    /// In upper case.
    pub method: String,
    pub request_id: String,
    /// Unique; names the call in the usage event and in the token's counter.
    pub call_id: String,
    pub at: UnixMs,
    pub client_ip: Option<IpAddr>,
    pub origin: Option<String>,
    pub is_websocket: bool,
    /// The header that held our token, once it was found.
    pub carrier: Option<Carrier>,
    /// Our token, once it was found: it goes on nowhere.
    pub presented: Guarded,
    /// The mark to send on; `None` if the call has been here before.
    pub hop: Option<String>,
    headers: headers::List,
    /// Whether the response is to be read for an AI's usage, so that it must come in a form that can be.
    pub is_metered: bool,
}

impl Arrival {
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

    pub fn header(&self, name: &str) -> Option<String> {
        headers::get(&self.headers, name).map(str::to_owned)
    }

    /// All headers, names in lower case.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The gateway's own origin as the client sees it.
    pub fn gateway(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Whether a body can be sent on only out of the client's own request: `fetch` refuses one with a GET.
    pub fn must_keep_request(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// The announced length of the body.
    pub fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }
}
