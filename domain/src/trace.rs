//! The place of a call in a trace. It follows from the call's id, so the gateway, which sends it to the upstream, and the
//! admin API, which exports the span, need not tell each other.

use crate::encoding::{from_hex, hex};
use sha2::{Digest, Sha256};

/// The header by which a trace is passed on (W3C Trace Context, <https://www.w3.org/TR/trace-context/>).
pub const TRACEPARENT: &str = "traceparent";
/// Length of its value in version 0, in bytes.
pub const TRACEPARENT_LEN: usize = 55;

/// A place in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The trace, 32 hex digits.
    pub trace: String,
    /// The span, 16 hex digits.
    pub span: String,
    /// Whether the caller records the trace.
    pub is_sampled: bool,
}

impl Place {
    /// Reads a header's value; `None` if it is not valid, so that a new trace begins.
    pub fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split('-');
        let mut part = |bytes: usize| {
            let text = parts.next()?;
            let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
            let read = from_hex(text).filter(|read| read.len() == bytes && is_lower)?;
            Some((text, read))
        };
        let (version, trace, span, flags) = (part(1)?, part(16)?, part(8)?, part(1)?);
        let is_zero = |(_, read): &(&str, Vec<u8>)| read.iter().all(|byte| *byte == 0);
        // A later version may have more parts.
        let is_known = version.0 != "ff" && (version.0 != "00" || value.len() == TRACEPARENT_LEN);
        (is_known && !is_zero(&trace) && !is_zero(&span)).then(|| Self {
            trace: trace.0.to_owned(),
            span: span.0.to_owned(),
            is_sampled: flags.1.first().is_some_and(|flags| flags & 1 == 1),
        })
    }

    /// Returns the place of a call: in the trace of `given`, the header of its client, else in a trace of its own.
    pub fn of_call(call_id: &str, given: Option<&str>) -> Self {
        let digest = hex(&Sha256::digest(call_id));
        let (span, rest) = digest.split_at(16);
        let (trace, _) = rest.split_at(32);
        match given.and_then(Self::parse) {
            Some(parent) => Self { span: span.to_owned(), ..parent },
            None => Self { trace: trace.to_owned(), span: span.to_owned(), is_sampled: true },
        }
    }

    /// Writes the header's value.
    pub fn header(&self) -> String {
        let flags = if self.is_sampled { "01" } else { "00" };
        ["00", &self.trace, &self.span, flags].join("-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_call_continues_the_trace_of_its_client() {
        let place = Place::of_call("call", Some(GIVEN));
        assert_eq!((place.trace.as_str(), place.is_sampled), ("0af7651916cd43dd8448eb211c80319c", true));
        assert_eq!(place.span, Place::of_call("call", None).span, "its own span, whatever the trace");
        assert_ne!(place.span, "b7ad6b7169203331");
        assert_eq!(Place::parse(&place.header()), Some(place));
        assert!(!Place::of_call("call", Some(&GIVEN.replace("-01", "-00"))).is_sampled);
    }

    #[test]
    fn a_call_without_a_valid_trace_begins_one() {
        let own = Place::of_call("call", None);
        assert_eq!(Place::parse(&own.header()).as_ref(), Some(&own));
        assert!(own.is_sampled && own.trace != Place::of_call("other", None).trace);
        for invalid in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c8031-b7ad6b7169203331-0101",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333é-01",
        ] {
            assert_eq!(Place::of_call("call", Some(invalid)), own, "{invalid}");
        }
        assert!(Place::parse(&GIVEN.replacen("00", "cc", 1)).is_some(), "a later version");
        assert!(Place::parse(&(GIVEN.replacen("00", "cc", 1) + "-more")).is_some());
    }
}
