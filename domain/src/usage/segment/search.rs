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

    fn status(&self) -> u16;
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
    /// First digit of the status.
    pub status_class: Option<u32>,
    /// In upper case.
    pub method: Option<String>,
    /// Beginning of the path.
    pub path: Option<String>,
    /// The label that the client gave.
    pub label: Option<String>,
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
            && self.status_class.is_none_or(|class| u32::from(call.status()) / 100 == class)
            && is("method", self.method.as_deref())
            && is("label", self.label.as_deref())
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
            one(self.status_class.map(|class| word('s', &class.to_string()))),
            one(self.method.as_deref().map(|method| word('m', method))),
        ];
        let spaced = |words: Vec<String>| words.into_iter().map(|word| format!(" {word}")).collect();
        lists.into_iter().flatten().map(spaced).collect()
    }
}
