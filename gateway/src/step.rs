//! The steps that JavaScript carries out for a call, and how they are written.
//!
//! A step is text, one field a line: no value in it can hold a line break, and a string crosses to JavaScript at
//! once. `gateway/js` reads it.

use domain::call::outgoing::Outgoing;
use domain::upstream::headers::response::Edit;
use std::fmt::Write;

/// The next thing to be done for a call.
#[derive(Debug)]
pub enum Step {
    /// Send a request to an upstream.
    Send(String),
    /// Respond with the gateway's own response.
    Own(Own),
    /// Respond with an upstream's response.
    Pass(Pass),
    /// Nothing: the client has gone.
    Gone,
}

/// A response of the gateway itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// JSON on one line, or empty.
    pub body: String,
}

/// An upstream's response on its way to the client.
#[derive(Debug)]
pub struct Pass {
    /// Number of the request that it responds to, in the order in which they were sent.
    pub attempt: u8,
    pub watch: Watch,
    /// Number of bytes after which the body is cut.
    pub cut: Option<u64>,
    pub edits: Vec<Edit>,
}

/// The attention that a response needs on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// None: it passes untouched.
    Nothing,
    /// Its end must be known.
    End,
    /// Each piece is read.
    Pieces,
    /// Its beginning is read.
    Beginning,
    /// It is a socket; its messages are read if the call is metered.
    Socket { is_read: bool },
}

/// The source of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodySource {
    /// No body.
    None,
    /// The client's own stream.
    Client,
    /// Held by the call, which may differ from the client's.
    Held,
}

impl Step {
    /// Makes the step that sends `request`. Its credential is in the text. A request that `may_be_cancelled` ends when
    /// its time is over; others end with their call.
    pub fn send(
        request: &Outgoing<'_>,
        method: &str,
        body: BodySource,
        timeout_ms: u32,
        may_be_cancelled: bool,
    ) -> Self {
        let mut text = String::with_capacity(512);
        let body = match body {
            BodySource::None => "",
            BodySource::Client => "client",
            BodySource::Held => "held",
        };
        let letter = if may_be_cancelled { "C" } else { "S" };
        let _ = write!(text, "{letter}\n{method}\n{}\n{timeout_ms}\n{body}\n", request.url);
        for (at, name) in
            request.dropped().filter(|name| request.added().all(|(added, _)| added != *name)).enumerate()
        {
            text.push_str(if at > 0 { "," } else { "" });
            text.push_str(name);
        }
        for (name, value) in request.added() {
            push(&mut text, [name, value.expose()]);
        }
        Self::Send(text)
    }

    /// Writes the step.
    pub fn text(self) -> String {
        match self {
            Self::Send(text) => text,
            Self::Own(Own { status, headers, body }) => {
                let mut text = format!("O\n{status}\n{body}");
                for (name, value) in &headers {
                    push(&mut text, [name, value]);
                }
                text
            }
            Self::Pass(Pass { attempt, watch, cut, edits }) => {
                let watch = match watch {
                    Watch::Nothing => "",
                    Watch::End => "end",
                    Watch::Pieces => "pieces",
                    Watch::Beginning => "beginning",
                    Watch::Socket { is_read: false } => "socket",
                    Watch::Socket { is_read: true } => "read-socket",
                };
                let cut = cut.map(|cut| cut.to_string()).unwrap_or_default();
                let mut text = format!("P\n{attempt}\n{watch}\n{cut}");
                for edit in &edits {
                    match edit {
                        Edit::Delete(name) => push(&mut text, ["-", name, ""]),
                        Edit::Set(name, value) => push(&mut text, ["=", name, value]),
                        Edit::Append(name, value) => push(&mut text, ["+", name, value]),
                    }
                }
                text
            }
            Self::Gone => "G".to_owned(),
        }
    }
}

fn push<const N: usize>(text: &mut String, lines: [&str; N]) {
    for line in lines {
        text.push('\n');
        text.push_str(line);
    }
}
