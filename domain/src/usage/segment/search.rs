//! The search through raw calls, and the words of a head that rule a segment out.

use crate::id::{RouteId, TeamId, TokenId};
use crate::time::UnixMs;
use crate::usage::outcome::Outcome;

/// Characters of an id that stand for it in a head. Two ids that share them cost the opening of a segment in vain.
const ID_TAIL: usize = 6;

pub(super) fn word(kind: char, text: &str) -> String {
    format!("{kind}:{text} ")
}

pub(super) fn id_word(kind: char, id: &str) -> String {
    word(kind, id.get(id.len().saturating_sub(ID_TAIL)..).unwrap_or(id))
}

/// The fields of a call that a search compares.
pub(super) trait Fields {
    fn text(&self, field: &str) -> &str;

    fn time(&self) -> UnixMs;

    /// The AI model; '' if there is none.
    fn model(&self) -> &str;

    fn status(&self) -> u16;
}

/// Statuses that are searched for: one, or a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statuses {
    /// This one.
    Exact(u16),
    /// Those with this first digit.
    Class(u16),
}

impl Statuses {
    /// Reads `404` or `4xx`.
    pub fn parse(text: &str) -> Option<Self> {
        let number =
            |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        match text.strip_suffix("xx") {
            Some(class) => number(class).filter(|class| (1..=5).contains(class)).map(Self::Class),
            None => number(text).filter(|status| (100..600).contains(status)).map(Self::Exact),
        }
    }

    fn has(self, status: u16) -> bool {
        match self {
            Self::Exact(exact) => status == exact,
            Self::Class(class) => status / 100 == class,
        }
    }

    fn class(self) -> u16 {
        match self {
            Self::Exact(exact) => exact / 100,
            Self::Class(class) => class,
        }
    }
}

/// The calls that are searched for; `None` means all.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The earliest time, unix ms.
    pub from: UnixMs,
    /// Time and id of the last call seen; on the first page, the end of the period and ''.
    pub before: (UnixMs, String),
    /// Teams whose calls the caller may see.
    pub teams: Option<Vec<TeamId>>,
    /// The token that called.
    pub token: Option<TokenId>,
    /// Routes that were called, of which '' stands for none.
    pub routes: Option<Vec<RouteId>>,
    /// How the call ended.
    pub outcome: Option<Outcome>,
    /// Statuses of the response.
    pub status: Option<Statuses>,
    /// In upper case.
    pub method: Option<String>,
    /// Beginning of the path.
    pub path: Option<String>,
    /// A part of the path.
    pub path_part: Option<String>,
    /// The label that the client gave.
    pub label: Option<String>,
    /// The AI model.
    pub model: Option<String>,
    /// The id of the call's record.
    pub id: Option<String>,
    /// The call's id, as the client was told.
    pub request_id: Option<String>,
    /// The client's address.
    pub client_ip: Option<String>,
    /// The head of the hash of the secret that was used.
    pub secret: Option<String>,
}

impl Search {
    /// Returns whether a call is one of them.
    pub(super) fn finds(&self, call: &impl Fields) -> bool {
        let is = |field: &str, wanted: Option<&str>| wanted.is_none_or(|wanted| call.text(field) == wanted);
        let is_of = |teams: &Vec<TeamId>| teams.iter().any(|team| team.as_str() == call.text("team"));
        let leads_to = |routes: &Vec<RouteId>| routes.iter().any(|id| id.as_str() == call.text("route_id"));
        let is_before = || {
            let at = call.time();
            at >= self.from && (at, call.text("id")) < (self.before.0, self.before.1.as_str())
        };
        // The narrowest first: of thousands of calls few are looked at further.
        is("token_id", self.token.as_ref().map(TokenId::as_str))
            && self.teams.as_ref().is_none_or(is_of)
            && self.routes.as_ref().is_none_or(leads_to)
            && is("outcome", self.outcome.map(Outcome::as_str))
            && self.status.is_none_or(|statuses| statuses.has(call.status()))
            && is("method", self.method.as_deref())
            && is("label", self.label.as_deref())
            && is("client_ip", self.client_ip.as_deref())
            && is("secret", self.secret.as_deref())
            && is("request_id", self.request_id.as_deref())
            && is("id", self.id.as_deref())
            && self.model.as_deref().is_none_or(|model| call.model() == model)
            && self.path_part.as_ref().is_none_or(|part| call.text("path").contains(part.as_str()))
            && self.path.as_ref().is_none_or(|path| call.text("path").starts_with(path.as_str()))
            && is_before()
    }

    /// Returns words of which a head must have at least one of each list.
    pub fn words(&self) -> Vec<Vec<String>> {
        let teams =
            self.teams.as_ref().map(|teams| teams.iter().map(|team| word('g', team.as_str())).collect());
        let routes =
            self.routes.as_ref().map(|routes| routes.iter().map(|id| id_word('r', id.as_str())).collect());
        let one = |word: Option<String>| word.map(|word| vec![word]);
        let lists = [
            teams,
            one(self.token.as_ref().map(|id| id_word('t', id.as_str()))),
            routes,
            one(self.outcome.map(|outcome| word('o', outcome.as_str()))),
            one(self.status.map(|statuses| word('s', &statuses.class().to_string()))),
            one(self.method.as_deref().map(|method| word('m', method))),
        ];
        let spaced = |words: Vec<String>| words.into_iter().map(|word| format!(" {word}")).collect();
        lists.into_iter().flatten().map(spaced).collect()
    }
}
