//! The body of a call to an upstream that requires a signature.
//!
//! S3 accepts bodies that the signature does not cover, so they stay streams. All others are held whole
//! for their digest. A body that the client framed as `aws-chunked` for its own signature is unwrapped.

use crate::body::{Body, Held};
use crate::call::Call;
use crate::error::AttemptError;
use domain::call::outgoing::Outgoing;
use domain::call::plan::signs_body;
use domain::credential::aws_chunked::{self, FRAMING_HEADERS, Form, Malformed, Unwrapper};
use domain::credential::sigv4::{Payload, is_s3, stated_digest};
use domain::credential::{AwsKeys, CredentialEdit};
use domain::error::GatewayError;
use futures_util::{StreamExt, stream::unfold};
use js_sys::Uint8Array;
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;
use wasm_streams::ReadableStream;
use worker::worker_sys::FixedLengthStream;

/// A body, ready to be sent and signed.
#[derive(Debug, Default)]
pub struct Prepared {
    pub payload: Payload,
    /// Replaces the client's body.
    pub body: Option<Body>,
    form: Option<Form>,
    _held: Option<Held>,
}

/// Prepares the body for the credential. A credential that signs nothing leaves the body as it is.
///
/// # Errors
/// 400 if a chunked body breaks its framing, 413 if a body must be held whole and cannot be.
pub async fn prepare(
    credential: Option<&CredentialEdit>,
    body: &mut Body,
    call: &Call,
) -> Result<Prepared, AttemptError> {
    let Some(keys) = credential.and_then(CredentialEdit::signer) else { return Ok(Prepared::default()) };
    let header = |name: &str| call.head.header(name).map(str::to_owned);
    let form = aws_chunked::form(header, is_s3(&keys.service)).map_err(bad_chunks)?;
    let held = if signs_body(credential) { body.take_in(call).await? } else { None };
    let unwrapped = match form.and_then(Unwrapper::new) {
        Some(unwrapper) => unwrap(unwrapper, form, body, call)?,
        None => None,
    };
    let payload = payload(keys, unwrapped.as_ref().unwrap_or(body), form, call).await?;
    Ok(Prepared { payload, body: unwrapped, form, _held: held })
}

/// Decides how the signature covers the body.
async fn payload(
    keys: &AwsKeys,
    body: &Body,
    form: Option<Form>,
    call: &Call,
) -> Result<Payload, AttemptError> {
    let stated = || call.head.header("x-amz-content-sha256").and_then(stated_digest);
    match (body, form) {
        (Body::None, _) => Ok(Payload::Empty),
        (_, Some(Form::Untouched | Form::Unsigned)) => Ok(Payload::UnsignedTrailer),
        (_, None) if is_s3(&keys.service) => Ok(stated().map_or(Payload::Unsigned, Payload::Digest)),
        (_, Some(Form::Plain { .. })) if is_s3(&keys.service) => Ok(Payload::Unsigned),
        (Body::Whole(bytes), _) => edge::crypto::sha256_hex(bytes)
            .await
            .map(Payload::Digest)
            .map_err(|why| AttemptError::not_sent(GatewayError::InternalServerError, &why)),
        (Body::Stream | Body::Piped { .. }, _) => Err(AttemptError::not_sent(
            GatewayError::BodyNotSignable,
            &"the body is too long to be signed, or does not announce its length",
        )),
    }
}

/// Blames the client for its framing.
pub fn bad_chunks(why: Malformed) -> AttemptError {
    AttemptError::not_sent(GatewayError::BadChunks, &why)
}

/// Removes the framing: at once if the body is held whole, else piece by piece.
fn unwrap(
    unwrapper: Unwrapper,
    form: Option<Form>,
    body: &Body,
    call: &Call,
) -> Result<Option<Body>, AttemptError> {
    if let Some(bytes) = body.bytes() {
        let own = unwrapper.whole(&bytes).map_err(bad_chunks)?;
        return Ok(Some(Body::Whole(Uint8Array::from(own.as_slice()))));
    }
    let Some(given) = call.request.body() else { return Ok(None) };
    let broken = Rc::new(Cell::new(None));
    let pieces = unwrapped(ReadableStream::from_raw(given.unchecked_into()), unwrapper, Rc::clone(&broken));
    let stream = match form {
        Some(Form::Plain { length }) => {
            with_length(pieces, length).map_err(|e| AttemptError::internal(&e))?
        }
        _ => pieces.into_raw().unchecked_into(),
    };
    Ok(Some(Body::Piped { stream, broken }))
}

/// Unwraps a stream piece by piece; notes in `broken` why it cannot go on.
fn unwrapped(
    given: ReadableStream,
    unwrapper: Unwrapper,
    broken: Rc<Cell<Option<Malformed>>>,
) -> ReadableStream {
    let state = Some((given.into_stream(), unwrapper, broken));
    ReadableStream::from_stream(unfold(state, |state| async move {
        let (mut pieces, mut unwrapper, broken) = state?;
        let failed = |why: Malformed| {
            broken.set(Some(why));
            Some((Err(JsValue::from_str(&why.to_string())), None))
        };
        loop {
            let (out, more) = match pieces.next().await {
                Some(Ok(piece)) => {
                    let piece: Uint8Array = piece.unchecked_into();
                    match unwrapper.feed(&piece.to_vec()) {
                        Ok(out) if out.is_empty() => continue,
                        Ok(out) => (out, Some((pieces, unwrapper, Rc::clone(&broken)))),
                        Err(why) => return failed(why),
                    }
                }
                Some(Err(cause)) => return Some((Err(cause), None)),
                None => match unwrapper.finish() {
                    Ok(out) if out.is_empty() => return None,
                    Ok(out) => (out, None),
                    Err(why) => return failed(why),
                },
            };
            return Some((Ok(Uint8Array::from(out.as_slice()).into()), more));
        }
    }))
}

/// Gives the stream a length, which the runtime then announces. S3 accepts no other.
fn with_length(mut pieces: ReadableStream, length: u64) -> Result<web_sys::ReadableStream, JsValue> {
    let fixed = FixedLengthStream::new_big_int(length.into())?;
    let mut into = wasm_streams::WritableStream::from_raw(fixed.writable().unchecked_into());
    spawn_local(async move {
        // A failure also ends the other side, which reports it.
        let _ = pieces.pipe_to(&mut into).await;
    });
    Ok(fixed.readable())
}

impl Prepared {
    /// Makes the headers agree with the body.
    pub fn edit(&self, request: &mut Outgoing<'_>) {
        if let Some(Form::Plain { .. }) = self.form {
            for name in FRAMING_HEADERS {
                request.remove(name);
            }
            let rest = request.get("content-encoding").map(aws_chunked::coding_without_chunks);
            match rest {
                Some(Some(rest)) => request.set("content-encoding", rest),
                Some(None) => request.remove("content-encoding"),
                None => {}
            }
        }
    }
}
