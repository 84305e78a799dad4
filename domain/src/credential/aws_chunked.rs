//! `aws-chunked`, the framing in which AWS's SDKs upload to S3
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html>).
//!
//! ```text
//! <size in hex>[;chunk-signature=<64 hex>]CRLF <data> CRLF …
//! 0[;chunk-signature=<64 hex>]CRLF [<trailer>:<value>CRLF] [x-amz-trailer-signature:<64 hex>CRLF] CRLF
//! ```
//!
//! Chunk signatures chain on the signature of the request, which the gateway replaces, so they cannot
//! stay. S3 accepts the framing unsigned if it has a trailer; otherwise the data is sent without framing.

/// The value of `x-amz-content-sha256` for unsigned chunks with a trailer.
pub const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
/// The header that announces the body's length in bytes, without the chunks' heads.
pub const DECODED_LENGTH: &str = "x-amz-decoded-content-length";
/// The header that names the headers behind the last chunk.
pub const TRAILER: &str = "x-amz-trailer";
/// The headers that make no sense without the framing and its trailer.
pub const FRAMING_HEADERS: [&str; 3] = [DECODED_LENGTH, TRAILER, "x-amz-sdk-checksum-algorithm"];

const CODING: &str = "aws-chunked";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";
/// The longest head of a chunk, in bytes.
const MAX_HEAD: usize = 512;
/// The most that may follow the last chunk, in bytes.
const MAX_TAIL: usize = 8 << 10;

/// The reason why a body breaks its framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Malformed {
    #[error("the decoded length is not given")]
    NoLength,
    #[error("the data is not as long as announced")]
    Length,
    #[error("a chunk's head cannot be read")]
    Head,
    #[error("a chunk is not followed by CRLF")]
    Border,
    #[error("the trailer cannot be read")]
    Tail,
    #[error("the body ends within its framing")]
    Truncated,
}

/// The form in which a chunked body is sent to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The body as it came.
    Untouched,
    /// Chunks without signatures, then the trailer.
    Unsigned,
    /// The data without framing, `length` bytes.
    #[expect(missing_docs, reason = "the variant's own line tells of its fields")]
    Plain { length: u64 },
}

/// Decides on the form of a body; `None` if it is not chunked. `takes_chunks` says whether the service
/// knows the framing.
///
/// # Errors
/// If the data must be sent without framing and its length is not given.
pub fn form(header: impl Fn(&str) -> Option<String>, takes_chunks: bool) -> Result<Option<Form>, Malformed> {
    let payload = header("x-amz-content-sha256").unwrap_or_default();
    let length = header(DECODED_LENGTH).map(|text| text.trim().parse().map_err(|_| Malformed::NoLength));
    let is_coded = header("content-encoding").is_some_and(|codings| codings_of(&codings).any(is_chunked));
    // `aws-chunked` alone proves nothing: a server may have stored it as the object's own coding and return it.
    let is_framed = payload.starts_with("STREAMING-") || (is_coded && length.is_some());
    if !is_framed {
        return Ok(None);
    }
    if takes_chunks && payload == UNSIGNED_TRAILER {
        return Ok(Some(Form::Untouched));
    }
    if takes_chunks && header(TRAILER).is_some() {
        return Ok(Some(Form::Unsigned));
    }
    let length = length.ok_or(Malformed::NoLength)??;
    Ok(Some(Form::Plain { length }))
}

/// The value of `Content-Encoding` without `aws-chunked`; `None` if nothing is left.
pub fn coding_without_chunks(codings: &str) -> Option<String> {
    let rest: Vec<&str> = codings_of(codings).filter(|coding| !is_chunked(coding)).collect();
    (!rest.is_empty()).then(|| rest.join(", "))
}

fn codings_of(codings: &str) -> impl Iterator<Item = &str> {
    codings.split(',').map(str::trim).filter(|coding| !coding.is_empty())
}

fn is_chunked(coding: &str) -> bool {
    coding.eq_ignore_ascii_case(CODING)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Head,
    /// The bytes of data that are left in the chunk.
    Data(u64),
    /// The bytes of the CRLF behind the data that have been seen.
    Border(usize),
    Tail,
}

/// Removes chunk signatures, or the whole framing, from a body that arrives in pieces of any size.
#[derive(Debug)]
pub struct Unwrapper {
    /// The length of the data if it is sent without framing.
    plain: Option<u64>,
    at: At,
    /// The part of a head or tail that has arrived.
    held: Vec<u8>,
    decoded: u64,
}

impl Unwrapper {
    /// Makes an unwrapper; `None` if the body is sent untouched.
    pub fn new(form: Form) -> Option<Self> {
        let plain = match form {
            Form::Untouched => return None,
            Form::Unsigned => None,
            Form::Plain { length } => Some(length),
        };
        Some(Self { plain, at: At::Head, held: vec![], decoded: 0 })
    }

    /// Unwraps the next piece and returns the bytes to send.
    ///
    /// # Errors
    /// If the framing is broken; nothing may be fed after that.
    pub fn feed(&mut self, mut piece: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::with_capacity(piece.len());
        while let Some(first) = piece.first() {
            let taken = match self.at {
                At::Head => self.head(piece, &mut out)?,
                At::Data(left) => {
                    let whole = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                    let taken = usize::try_from(left.min(whole)).unwrap_or(piece.len());
                    out.extend(piece.iter().take(taken));
                    let left = left.saturating_sub(whole);
                    self.at = if left == 0 { At::Border(0) } else { At::Data(left) };
                    taken
                }
                At::Border(seen) => {
                    if b"\r\n".get(seen) != Some(first) {
                        return Err(Malformed::Border);
                    }
                    if self.plain.is_none() {
                        out.push(*first);
                    }
                    self.at = if seen == 0 { At::Border(1) } else { At::Head };
                    1
                }
                At::Tail => {
                    self.held.extend(piece);
                    if self.held.len() > MAX_TAIL {
                        return Err(Malformed::Tail);
                    }
                    piece.len()
                }
            };
            piece = piece.get(taken..).unwrap_or_default();
        }
        Ok(out)
    }

    fn head(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<usize, Malformed> {
        let end = piece.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(piece.len(), |at| at + 1);
        self.held.extend(piece.iter().take(taken));
        if self.held.len() > MAX_HEAD {
            return Err(Malformed::Head);
        }
        if end.is_some() {
            let size = size_of(&std::mem::take(&mut self.held)).ok_or(Malformed::Head)?;
            self.decoded = self.decoded.checked_add(size).ok_or(Malformed::Length)?;
            match self.plain {
                Some(length) if self.decoded > length => return Err(Malformed::Length),
                Some(_) => {}
                None => out.extend(format!("{size:x}\r\n").bytes()),
            }
            self.at = if size == 0 { At::Tail } else { At::Data(size) };
        }
        Ok(taken)
    }

    /// Returns the bytes to send after the last piece.
    ///
    /// # Errors
    /// If the body is not complete.
    pub fn finish(self) -> Result<Vec<u8>, Malformed> {
        if self.at != At::Tail {
            return Err(Malformed::Truncated);
        }
        if self.plain.is_some_and(|length| length != self.decoded) {
            return Err(Malformed::Length);
        }
        let text = String::from_utf8(self.held).map_err(|_| Malformed::Tail)?;
        if self.plain.is_some() {
            return Ok(vec![]);
        }
        // Some clients separate the trailer from its signature by an empty line.
        let mut tail = String::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (name, _) = line.split_once(':').ok_or(Malformed::Tail)?;
            if !name.trim().eq_ignore_ascii_case(TRAILER_SIGNATURE) {
                tail.push_str(line);
                tail.push_str("\r\n");
            }
        }
        tail.push_str("\r\n");
        Ok(tail.into_bytes())
    }

    /// Unwraps a body that is held whole and returns the bytes to send.
    ///
    /// # Errors
    /// As [`Self::feed`] and [`Self::finish`].
    pub fn whole(mut self, body: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut out = self.feed(body)?;
        out.extend(self.finish()?);
        Ok(out)
    }
}

fn size_of(head: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(head).ok()?.strip_suffix("\r\n")?;
    let size = line.split(';').next()?.trim();
    let is_hex = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u64::from_str_radix(size, 16).ok()).flatten()
}

#[cfg(test)]
mod tests;
