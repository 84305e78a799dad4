//! Watches a response's body on its way to the client, for calls whose end must be known: to settle a
//! reservation, to read an AI's usage, to cut the body as the call requested. All other bodies pass
//! untouched.

use domain::ai::UsageReader;
use domain::usage::AiUsage;
use futures_util::{StreamExt, stream::unfold};
use js_sys::Uint8Array;
use wasm_bindgen::{JsCast, JsValue};
use wasm_streams::ReadableStream;
use web_sys::{Response, ResponseInit};

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With its last byte.
    Whole,
    /// The upstream broke the connection.
    Broken,
    /// The client hung up.
    Abandoned,
    /// We cut it, because the call requested that.
    Cut,
}

type OnEnd = Box<dyn FnOnce(Seen)>;

/// Facts about a body that has ended.
#[derive(Debug)]
pub struct Seen {
    pub end: End,
    pub bytes: u64,
    /// The usage that an AI's response stated.
    pub ai: Option<AiUsage>,
}

/// Looks at each piece of a body, and at its end, which comes exactly once.
pub struct Watcher {
    /// Reads an AI's response.
    pub reader: Option<UsageReader>,
    /// Number of bytes after which the body is cut.
    pub cut: Option<u64>,
    on_end: Option<OnEnd>,
    bytes: u64,
}

impl Watcher {
    /// Makes a watcher that calls `on_end` once.
    pub fn new(on_end: impl FnOnce(Seen) + 'static) -> Self {
        Self { reader: None, cut: None, on_end: Some(Box::new(on_end)), bytes: 0 }
    }

    fn end(&mut self, end: End) {
        if let Some(on_end) = self.on_end.take() {
            let ai = self.reader.take().map(|reader| reader.finish(end == End::Whole));
            on_end(Seen { end, bytes: self.bytes, ai });
        }
    }

    fn is_cut(&self) -> bool {
        self.cut.is_some_and(|cut| self.bytes >= cut)
    }

    /// Returns the piece to pass on, shortened if the cut falls into it.
    fn pass(&mut self, chunk: JsValue) -> JsValue {
        let piece: &Uint8Array = chunk.unchecked_ref();
        let left = self.cut.map(|cut| cut.saturating_sub(self.bytes));
        let length = u64::from(piece.byte_length());
        let short = left.filter(|left| *left < length).and_then(|left| u32::try_from(left).ok());
        let piece = short.map(|left| piece.subarray(0, left));
        self.bytes += short.map_or(length, u64::from);
        let chunk = piece.map_or(chunk, JsValue::from);
        if let Some(reader) = &mut self.reader {
            let piece: &Uint8Array = chunk.unchecked_ref();
            reader.feed(&piece.to_vec());
        }
        chunk
    }
}

/// A body that is dropped unread, or whose reader goes away, counts as abandoned.
impl Drop for Watcher {
    fn drop(&mut self) {
        self.end(End::Abandoned);
    }
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").field("cut", &self.cut).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Makes a response whose body is watched. One without a body has already ended.
pub fn watched(response: Response, mut watcher: Watcher) -> Result<Response, JsValue> {
    let Some(body) = response.body() else {
        watcher.end(End::Whole);
        return Ok(response);
    };
    let pieces = ReadableStream::from_raw(body.unchecked_into()).into_stream();
    let passed = unfold(Some((pieces, watcher)), |state| async move {
        let (mut pieces, mut watcher) = state?;
        if watcher.is_cut() {
            watcher.end(End::Cut);
            return Some((Err(JsValue::from_str("cut, as the call asked")), None));
        }
        match pieces.next().await {
            Some(Ok(chunk)) => {
                let chunk = watcher.pass(chunk);
                Some((Ok(chunk), Some((pieces, watcher))))
            }
            Some(Err(cause)) => {
                watcher.end(End::Broken);
                Some((Err(cause), None))
            }
            None => {
                watcher.end(End::Whole);
                None
            }
        }
    });
    let body: web_sys::ReadableStream = ReadableStream::from_stream(passed).into_raw().unchecked_into();
    let init: &ResponseInit = response.unchecked_ref();
    Response::new_with_opt_readable_stream_and_init(Some(&body), init)
}
