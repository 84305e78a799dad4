//! An answer's body watched on its way to the client, for the calls whose end has to be known: a
//! reservation to settle, an AI's usage to read, a cut that was asked for. All other bodies pass
//! untouched by us.

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
    /// The upstream broke off.
    Broken,
    /// The client hung up.
    Abandoned,
    /// We broke it off, because the call asked for that.
    Cut,
}

type OnEnd = Box<dyn FnOnce(Seen)>;

/// What was seen of a body that has ended.
#[derive(Debug)]
pub struct Seen {
    pub end: End,
    pub bytes: u64,
    /// The usage that an AI's response told.
    pub ai: Option<AiUsage>,
}

/// Looks at each piece and at the end, which comes exactly once.
pub struct Watcher {
    /// Reads the answer of an AI.
    pub reader: Option<UsageReader>,
    /// Bytes after which the body is broken off.
    pub cut: Option<u64>,
    on_end: Option<OnEnd>,
    bytes: u64,
}

impl Watcher {
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

    /// The piece as it goes on, shortened where the body is to be cut in it.
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

/// A body that is dropped unread, or whose reader goes away, was abandoned.
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

/// The response with its body watched; one without a body has ended already.
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
