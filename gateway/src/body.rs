//! The request's body on its way to the upstream.
//!
//! Normally it is a stream that nobody reads. A body that must be seen or sent twice is read whole, into
//! the runtime's memory and up to a bound: for a signature, for a further try, for an AI call's budget or its model.

use crate::call::Call;
use crate::step::BodySource;
use domain::ai::form::is_form;
use domain::ai::renamed::in_body;
use domain::ai::{AiAsk, ask_of, ask_of_form, with_include_usage};
use domain::call::attempt::AttemptFault;
use domain::call::head::Head;
use domain::call::plan::Metered;
use domain::credential::aws_chunked::Malformed;
use domain::credential::sigv4::MAX_SIGNED_BODY;
use domain::upstream::settings::Renames;
use edge::clock::now;
use js_sys::{ArrayBuffer, Uint8Array};
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// Longest body that is read whole, in bytes.
pub const MAX_WHOLE: u64 = MAX_SIGNED_BODY;

/// The most bytes that the bodies held by an isolate may have together. Beyond it they stay streams: an isolate has
/// 128 MB for everything.
const MAX_HELD: u64 = 32 << 20;

thread_local!(static HELD: Cell<u64> = const { Cell::new(0) });

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

/// A share of the bytes that an isolate may hold, given back at its end.
#[derive(Debug)]
pub struct Held(u64);

impl Held {
    fn take(bytes: u64) -> Option<Self> {
        let held = HELD.get().saturating_add(bytes);
        (held <= MAX_HELD).then(|| {
            HELD.set(held);
            Self(bytes)
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.set(HELD.get().saturating_sub(self.0));
    }
}

/// Whether bodies take more than half of the bytes that the isolate may hold.
pub fn is_crowded() -> bool {
    HELD.get() > MAX_HELD / 2
}

impl Body {
    /// Finds out whether the call has a body, without reading it.
    pub fn of(call: &Call) -> Self {
        // `Content-Length: 0` may arrive as a stream too. It is no body, and GET and HEAD must not have one.
        let is_empty = call.head.content_length() == Some(0);
        if call.has_body && !is_empty { Self::Stream } else { Self::None }
    }

    /// Reads a stream whole if its announced length and the isolate's memory allow. Otherwise it stays a stream. The
    /// share of memory is returned.
    ///
    /// # Errors
    /// The client broke its upload off.
    pub async fn take_in(&mut self, call: &Call) -> Result<Option<Held>, AttemptFault> {
        let length = call.head.content_length().filter(|length| *length <= MAX_WHOLE);
        let (Self::Stream, Some(length)) = (&*self, length) else { return Ok(None) };
        let Some(held) = Held::take(length) else { return Ok(None) };
        let began = now();
        let read = async {
            // A GET's body can only be sent as part of the client's own request, so that one stays unread.
            let copy = keeps_request(call).then(|| call.request.clone()).transpose()?;
            let source = copy.as_ref().unwrap_or(&call.request);
            let buffer = JsFuture::from(source.array_buffer()?).await?;
            Ok::<_, JsValue>(Uint8Array::new(&buffer.unchecked_into::<ArrayBuffer>()))
        };
        let bytes = read.await.map_err(|_| AttemptFault::ClientGone)?;
        call.facts.borrow_mut().upload_ms += now() - began;
        *self = if bytes.length() == 0 { Self::None } else { Self::Whole(bytes) };
        Ok(Some(held))
    }

    /// Copies the bytes. `None` if they are not held whole.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::None => Some(vec![]),
            Self::Stream | Self::Piped { .. } => None,
            Self::Whole(bytes) => Some(bytes.to_vec()),
        }
    }

    /// Reads what the call asks of an AI, if the body is held. Asks for usage if the route wants that.
    pub fn read_ask(&mut self, metered: &Metered, head: &Head) -> Option<AiAsk> {
        let Metered { kind, path, settings, .. } = metered;
        let bytes = self.bytes()?;
        let content_type = head.header("content-type");
        if let Some(form) = content_type.filter(|_| is_form(content_type)) {
            return Some(ask_of_form(*kind, path, &bytes, form));
        }
        if settings.include_usage
            && let Some(asking) = with_include_usage(path, &bytes)
        {
            *self = Self::Whole(Uint8Array::from(asking.as_slice()));
        }
        Some(ask_of(*kind, path, &bytes))
    }

    /// Returns a held body with its model renamed; `None` if it names none of them.
    pub fn renamed(&self, head: &Head, renames: &Renames) -> Option<Self> {
        let bytes = self.bytes().filter(|_| matches!(self, Self::Whole(_)))?;
        let body = in_body(&bytes, head.header("content-type"), renames)?;
        Some(Self::Whole(Uint8Array::from(body.as_slice())))
    }

    /// Whether it is the client's own stream, of which nothing is held.
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream)
    }

    /// Whether it would be held if the isolate's memory allowed.
    pub fn is_crowded_out(&self, call: &Call) -> bool {
        self.is_stream() && call.head.content_length().is_some_and(|length| length <= MAX_WHOLE)
    }

    /// Whether it can be sent a second time.
    pub fn can_repeat(&self) -> bool {
        !matches!(self, Self::Stream | Self::Piped { .. })
    }

    /// Returns the source from which JavaScript takes the body, and the body if the call holds it.
    pub fn source(&self, call: &Call) -> (BodySource, Option<JsValue>) {
        match self {
            Self::None => (BodySource::None, None),
            // A body of GET or HEAD goes as part of the client's own request. A copy of it can be sent again.
            Self::Whole(_) if keeps_request(call) => (BodySource::Client, None),
            Self::Stream => (BodySource::Client, None),
            Self::Whole(bytes) => (BodySource::Held, Some(bytes.into())),
            Self::Piped { stream, .. } => (BodySource::Held, Some(stream.into())),
        }
    }
}

/// Whether a body can only be sent as part of the client's own request: `fetch` refuses to make a GET with one.
fn keeps_request(call: &Call) -> bool {
    matches!(call.head.method(), "GET" | "HEAD")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bodies_that_an_isolate_holds_are_bounded_together() {
        let most = Held::take(MAX_HELD);
        assert!(most.is_some() && Held::take(1).is_none());
        drop(most);
        assert!(Held::take(1).is_some());
    }
}
