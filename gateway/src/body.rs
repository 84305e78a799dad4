//! The request's body on its way to the upstream.
//!
//! As a rule it is a stream that nobody reads. Only what has to be seen or sent twice is taken in
//! whole, into the runtime's memory and bounded: what a signature covers, what may go to a second
//! upstream, what an AI call asks for.

use crate::arrival::Arrival;
use domain::sigv4::MAX_SIGNED_BODY;
use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::Request;

/// The longest body that is taken in whole, in bytes.
pub const MAX_WHOLE: u64 = MAX_SIGNED_BODY;

#[derive(Debug)]
pub enum Body {
    None,
    /// Sent once, as it comes.
    Stream,
    Whole(Uint8Array),
}

impl Body {
    pub fn of(arrival: &Arrival) -> Self {
        // `Content-Length: 0` comes as a stream too; with GET and HEAD it would count as a body.
        let is_empty = is_bodiless(arrival) && arrival.content_length() == Some(0);
        if arrival.request.body().is_some() && !is_empty { Self::Stream } else { Self::None }
    }

    /// Takes a stream in whole if its announced length allows; otherwise it stays one. So does the body
    /// of GET and HEAD, which `fetch` refuses but from the client's own request.
    pub async fn take_in(&mut self, arrival: &Arrival) -> Result<(), JsValue> {
        if matches!(self, Self::Stream) && fits(arrival) && !is_bodiless(arrival) {
            *self = Self::Whole(bytes_of(&arrival.request).await?);
        }
        Ok(())
    }

    /// The bytes that a signature has to cover; `None` if the body is too long for that, or does not
    /// announce its length. The body can still be sent.
    pub async fn signable(&mut self, arrival: &Arrival) -> Result<Option<Uint8Array>, JsValue> {
        if matches!(self, Self::Stream) && fits(arrival) && is_bodiless(arrival) {
            return bytes_of(&arrival.request.clone()?).await.map(Some);
        }
        self.take_in(arrival).await?;
        Ok(match self {
            Self::None => Some(Uint8Array::new_with_length(0)),
            Self::Stream => None,
            Self::Whole(bytes) => Some(bytes.clone()),
        })
    }

    /// Its bytes, copied; `None` where it is not held whole.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::None => Some(vec![]),
            Self::Stream => None,
            Self::Whole(bytes) => Some(bytes.to_vec()),
        }
    }

    /// Whether it can be sent a second time.
    pub fn can_repeat(&self) -> bool {
        !matches!(self, Self::Stream)
    }
}

fn is_bodiless(arrival: &Arrival) -> bool {
    matches!(arrival.method.as_str(), "GET" | "HEAD")
}

fn fits(arrival: &Arrival) -> bool {
    arrival.content_length().is_some_and(|length| length <= MAX_WHOLE)
}

async fn bytes_of(request: &Request) -> Result<Uint8Array, JsValue> {
    let buffer = JsFuture::from(request.array_buffer()?).await?;
    Ok(Uint8Array::new(&buffer.unchecked_into::<ArrayBuffer>()))
}
