//! The request's body on its way to the upstream.
//!
//! As a rule it is a stream that nobody reads. Only what has to be seen or sent twice is taken in
//! whole, into the runtime's memory and bounded: what a signature covers, what may go to a second
//! upstream, what an AI call asks for.

use crate::arrival::Arrival;
use domain::credential::aws_chunked::Malformed;
use domain::credential::sigv4::MAX_SIGNED_BODY;
use js_sys::{ArrayBuffer, Uint8Array};
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// The longest body that is taken in whole, in bytes.
pub const MAX_WHOLE: u64 = MAX_SIGNED_BODY;

#[derive(Debug)]
pub enum Body {
    None,
    /// Sent once, as it comes.
    Stream,
    Whole(Uint8Array),
    /// Sent once, changed on its way.
    Piped {
        stream: web_sys::ReadableStream,
        /// Why the client's body could not be read on, once that is so.
        broken: Rc<Cell<Option<Malformed>>>,
    },
}

impl Body {
    pub fn of(arrival: &Arrival) -> Self {
        // `Content-Length: 0` comes as a stream too; with GET and HEAD it would count as a body.
        let is_empty = arrival.must_keep_request() && arrival.content_length() == Some(0);
        if arrival.request.body().is_some() && !is_empty { Self::Stream } else { Self::None }
    }

    /// Takes a stream in whole if its announced length allows; otherwise it stays one.
    pub async fn take_in(&mut self, arrival: &Arrival) -> Result<(), JsValue> {
        let fits = arrival.content_length().is_some_and(|length| length <= MAX_WHOLE);
        if matches!(self, Self::Stream) && fits {
            // A GET's body can only be sent as the client's own request has it, so that stays unread.
            let copy = arrival.must_keep_request().then(|| arrival.request.clone()).transpose()?;
            let source = copy.as_ref().unwrap_or(&arrival.request);
            let buffer = JsFuture::from(source.array_buffer()?).await?;
            let bytes = Uint8Array::new(&buffer.unchecked_into::<ArrayBuffer>());
            // `Content-Length: 0`, which some clients send with a GET, is no body.
            *self = if bytes.length() == 0 { Self::None } else { Self::Whole(bytes) };
        }
        Ok(())
    }

    /// Its bytes, copied; `None` where it is not held whole.
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
