//! A call as it came in.

use crate::store::now;
use domain::headers::{REQUEST_ID, request_id};
use domain::route::RequestPath;
use domain::time::UnixMs;
use domain::token::{Carrier, base62};
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
}

impl Arrival {
    pub fn read(request: Request) -> Result<Self> {
        let at = now();
        let random = edge::crypto::random::<32>().map_err(|e| Error::RustError(e.to_string()))?;
        let (for_request, for_call) = random.split_at(16);
        let url = Url::parse(&request.url())?;
        let headers = request.headers();
        let header = |name: &str| headers.get(name).ok().flatten();
        Ok(Self {
            path: RequestPath::of(&url),
            method: request.method().to_ascii_uppercase(),
            request_id: request_id(header(REQUEST_ID).as_deref(), for_request.try_into().unwrap_or_default()),
            call_id: base62(for_call, 22),
            at,
            client_ip: header("cf-connecting-ip").and_then(|ip| ip.parse().ok()),
            origin: header("origin"),
            is_websocket: header("upgrade").is_some_and(|to| to.eq_ignore_ascii_case("websocket")),
            carrier: None,
            url,
            request,
        })
    }

    pub fn header(&self, name: &str) -> Option<String> {
        self.request.headers().get(name).ok().flatten()
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
