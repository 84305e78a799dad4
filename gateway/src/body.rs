//! The request's body on its way to the upstream.
//!
//! Normally it is a stream that nobody reads. A body that must be seen or sent twice is read whole, into
//! the runtime's memory and up to a bound: for a signature, for a second upstream, for an AI call's budget.

use crate::arrival::Arrival;
use domain::credential::aws_chunked::Malformed;
use domain::credential::sigv4::MAX_SIGNED_BODY;
use js_sys::{ArrayBuffer, Uint8Array};
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// Longest body that is read whole, in bytes.
pub const MAX_WHOLE: u64 = MAX_SIGNED_BODY;

/// A request's body, in the form in which it will be sent.
#[derive(Debug)]
pub enum Body {
    None,
    /// Sent once, as it arrives.
    Stream,
    /// Held in memory; can be sent again.
    Whole(Uint8Array),
    /// Sent once, changed on the way.
    Piped {
        stream: web_sys::ReadableStream,
        /// Set to the reason when the client's body cannot be read any further.
        broken: Rc<Cell<Option<Malformed>>>,
    },
}

impl Body {
    /// Finds out whether the call has a body, without reading it.
    pub fn of(arrival: &Arrival) -> Self {
        // `Content-Length: 0` arrives as a stream too. With GET and HEAD it would count as a body.
        let is_empty = arrival.must_keep_request() && arrival.content_length() == Some(0);
        if arrival.request.body().is_some() && !is_empty { Self::Stream } else { Self::None }
    }

    /// Reads a stream whole if its announced length allows. Otherwise it stays a stream.
    pub async fn take_in(&mut self, arrival: &Arrival) -> Result<(), JsValue> {
        let fits = arrival.content_length().is_some_and(|length| length <= MAX_WHOLE);
        if matches!(self, Self::Stream) && fits {
            // A GET's body can only be sent as part of the client's own request, so that one stays unread.
            let copy = arrival.must_keep_request().then(|| arrival.request.clone()).transpose()?;
            let source = copy.as_ref().unwrap_or(&arrival.request);
            let buffer = JsFuture::from(source.array_buffer()?).await?;
            let bytes = Uint8Array::new(&buffer.unchecked_into::<ArrayBuffer>());
            // Some clients send `Content-Length: 0` with a GET: that is no body.
            *self = if bytes.length() == 0 { Self::None } else { Self::Whole(bytes) };
        }
        Ok(())
    }

    /// Copies the bytes. `None` if they are not held whole.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::None => Some(vec![]),
            Self::Stream | Self::Piped { .. } => None,
            Self::Whole(bytes) => Some(bytes.to_vec()),
        }
    }

    /// Whether it can be sent a second time.
    pub fn can_repeat(&self) -> bool {
        !matches!(self, Self::Stream | Self::Piped { .. })
    }
}
