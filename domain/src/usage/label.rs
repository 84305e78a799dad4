//! Labels: which workflow made a call, and the sums of each token's labels by day.
//!
//! Sums of labels are apart from all other sums, so that a call without a label costs nothing. A token and day have one row,
//! which each fold with labelled calls writes again. It holds at most [`MAX_LABELS`] labels; the calls of all others count
//! as [`OTHER`], so no client can fill the database with names.

use super::{Clipped, UsageEvent};
use crate::access::carrier::holds_token;
use crate::encoding::percent_decode;
use crate::id::{TeamId, TokenId};
use crate::time::UnixMs;
use crate::usage::outcome::OutcomeClass;
use crate::usage::span::Granularity;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest label, in characters.
pub const MAX_LABEL_CHARS: usize = 80;
/// Longest label, in bytes: 80 Chinese characters.
pub const MAX_LABEL_LEN: usize = 240;
/// Labels of a token and day that have sums of their own.
pub const MAX_LABELS: usize = 500;
/// The label under which the calls of all further labels are counted. No call has it.
pub const OTHER: &str = "";
/// How long sums of labels are kept, in days.
pub const LABELS_KEPT_DAYS: i64 = 400;
/// The longest period of a report on labels, in days.
pub const MAX_REPORT_DAYS: i64 = 92;

/// A call's label.
pub type Label = Clipped<MAX_LABEL_LEN>;

/// Reads a call's label from the value of its header; `None` if nothing is left. A label must not fail a call, so
/// what does not fit is cut.
///
/// HTTP headers hold Latin-1, so other names arrive percent-encoded (`encodeURIComponent`), or as UTF-8 that was read as
/// Latin-1. Controls, and characters that turn the direction of text, become spaces. A value that holds one of our tokens
/// is no label.
pub fn read(value: &str) -> Option<Label> {
    let bytes = in_latin1(value).unwrap_or_else(|| value.as_bytes().to_vec());
    let decoded = String::from_utf8(percent_decode(&bytes)).ok();
    let text = decoded.or_else(|| String::from_utf8(bytes).ok())?;
    if holds_token(&text) {
        return None;
    }
    let is_space = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let words: Vec<&str> = text.split(is_space).filter(|word| !word.is_empty()).collect();
    let label: String = words.join(" ").chars().take(MAX_LABEL_CHARS).collect();
    let label = Label::from(label.trim_end());
    (!label.is_empty()).then_some(label)
}

/// Returns the bytes of UTF-8 that was read as Latin-1.
fn in_latin1(value: &str) -> Option<Vec<u8>> {
    let bytes: Vec<u8> = value.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<_>>()?;
    str::from_utf8(&bytes).is_ok().then_some(bytes)
}

/// The sums of one label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 7]", into = "[u64; 7]")]
pub struct LabelSums {
    /// All calls.
    pub calls: u64,
    /// Calls to which the upstream responded with a status below 400.
    pub ok: u64,
    /// Calls that were denied or met a limit.
    pub refused: u64,
    /// AI tokens of prompts.
    pub prompt_tokens: u64,
    /// AI tokens of completions.
    pub completion_tokens: u64,
    /// Micro-dollars.
    pub cost_micros: u64,
    /// Time of the latest call, unix ms.
    pub last_at: UnixMs,
}

impl From<[u64; 7]> for LabelSums {
    fn from(numbers: [u64; 7]) -> Self {
        let [calls, ok, refused, prompt_tokens, completion_tokens, cost_micros, last_at] = numbers;
        let last_at = i64::try_from(last_at).unwrap_or(i64::MAX);
        Self { calls, ok, refused, prompt_tokens, completion_tokens, cost_micros, last_at }
    }
}

impl From<LabelSums> for [u64; 7] {
    fn from(sums: LabelSums) -> Self {
        let LabelSums { calls, ok, refused, prompt_tokens, completion_tokens, cost_micros, last_at } = sums;
        [
            calls,
            ok,
            refused,
            prompt_tokens,
            completion_tokens,
            cost_micros,
            u64::try_from(last_at).unwrap_or(0),
        ]
    }
}

impl LabelSums {
    /// Returns the sums of one call.
    pub fn of(event: &UsageEvent) -> Self {
        let class = event.outcome.class();
        let tokens =
            |count: fn(&super::AiUsage) -> Option<u64>| event.ai.as_ref().and_then(count).unwrap_or(0);
        Self {
            calls: 1,
            ok: u64::from(class == OutcomeClass::Ok),
            refused: u64::from(matches!(class, OutcomeClass::Denied | OutcomeClass::Limited)),
            prompt_tokens: tokens(|ai| ai.prompt_tokens),
            completion_tokens: tokens(|ai| ai.completion_tokens),
            cost_micros: tokens(|ai| ai.cost_micros),
            last_at: event.at,
        }
    }

    /// Adds other sums.
    pub fn merge(&mut self, other: &Self) {
        let (mine, theirs): ([u64; 7], [u64; 7]) = ((*self).into(), (*other).into());
        let last_at = self.last_at.max(other.last_at);
        let mut sums = mine;
        for (sum, more) in sums.iter_mut().zip(theirs) {
            *sum = sum.saturating_add(more);
        }
        *self = Self { last_at, ..sums.into() };
    }
}

/// The labels of one token and day, with their sums.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, LabelSums>);

impl Labels {
    /// Adds sums to a label, or to [`OTHER`] if there are too many labels.
    pub fn add(&mut self, label: &str, sums: &LabelSums) {
        let named = self.0.len() - usize::from(self.0.contains_key(OTHER));
        let has_room = named < MAX_LABELS || self.0.contains_key(label);
        let label = if has_room { label } else { OTHER };
        self.0.entry(label.to_owned()).or_default().merge(sums);
    }

    /// Adds the sums of other labels.
    pub fn merge(&mut self, other: &Self) {
        for (label, sums) in &other.0 {
            self.add(label, sums);
        }
    }

    /// Returns its labels, of which '' stands for all others.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &LabelSums)> {
        self.0.iter().map(|(label, sums)| (label.as_str(), sums))
    }
}

/// The calls that a row of labels sums up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TokenDay {
    /// Start of the day (UTC), unix ms.
    pub day: UnixMs,
    /// Team of the token.
    pub team_id: TeamId,
    /// The token that called.
    pub token_id: TokenId,
}

/// Labels by token and day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(TokenDay, Labels)>", into = "Vec<(TokenDay, Labels)>")]
pub struct LabelTallies(BTreeMap<TokenDay, Labels>);

impl LabelTallies {
    /// Counts the calls that have a label.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a UsageEvent>) -> Self {
        let mut tallies = Self::default();
        for event in events {
            let Some(label) = &event.label else { continue };
            let place = TokenDay {
                day: Granularity::Day.bucket(event.at),
                team_id: event.team.clone(),
                token_id: event.token_id.clone(),
            };
            tallies.0.entry(place).or_default().add(label, &LabelSums::of(event));
        }
        tallies
    }

    /// Adds a token's labels of a day.
    pub fn merge(&mut self, place: TokenDay, labels: &Labels) {
        self.0.entry(place).or_default().merge(labels);
    }

    /// Adds the calls of other tallies.
    pub fn extend(&mut self, other: &Self) {
        for (place, labels) in &other.0 {
            self.merge(place.clone(), labels);
        }
    }

    /// Whether no call had a label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns tokens and days, with their labels.
    pub fn iter(&self) -> impl Iterator<Item = (&TokenDay, &Labels)> {
        self.0.iter()
    }
}

impl From<Vec<(TokenDay, Labels)>> for LabelTallies {
    fn from(rows: Vec<(TokenDay, Labels)>) -> Self {
        let mut tallies = Self::default();
        for (place, labels) in rows {
            tallies.merge(place, &labels);
        }
        tallies
    }
}

impl From<LabelTallies> for Vec<(TokenDay, Labels)> {
    fn from(tallies: LabelTallies) -> Self {
        tallies.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::hex;
    use crate::time::DAY_MS;
    use crate::usage::outcome::Outcome;
    use crate::usage::tests::event;
    use proptest::prelude::*;

    fn label(value: &str) -> Option<String> {
        read(value).map(|label| label.to_string())
    }

    #[test]
    fn a_name_in_any_script_arrives_as_it_was_meant() {
        for (value, wanted) in [
            ("Nightly report", "Nightly report"),
            ("%E6%AF%8F%E6%97%A5%E5%A0%B1%E5%91%8A%20(v2)", "每日報告 (v2)"),
            ("每日報告", "每日報告"),
            ("æ¯\u{8f}æ\u{97}¥", "每日"),
            ("Café", "Café"),
            ("100 % sure", "100 % sure"),
            ("50%", "50%"),
            ("%ff%fe", "%ff%fe"),
            ("a+b", "a+b"),
            ("%F0%9F%9A%80 launch", "🚀 launch"),
        ] {
            assert_eq!(label(value).as_deref(), Some(wanted), "{value}");
        }
    }

    #[test]
    fn what_does_not_fit_is_cut_and_never_fails() {
        assert_eq!(label("  a \t b%0a%00c\u{202e}d "), Some("a b c d".to_owned()));
        assert_eq!(label(&"每".repeat(300)), Some("每".repeat(80)));
        assert_eq!(label(&"🚀".repeat(300)).unwrap().len(), MAX_LABEL_LEN);
        for nothing in ["", "  ", "%20", "%00", "\u{202e}"] {
            assert_eq!(label(nothing), None, "{nothing}");
        }
        let token = "ntk_ehv1hsdOHPxDuX3xn9YyIKbgl4yJuySCWzdimD4heup7j1abW";
        assert_eq!(label(&format!("run {token}")), None);
        assert_eq!(label(&token.replace("tk", "%74k")), None);
    }

    proptest! {
        #[test]
        fn any_value_gives_a_label_that_is_read_as_itself(value in any::<String>()) {
            if let Some(label) = read(&value) {
                prop_assert!(label.chars().count() <= MAX_LABEL_CHARS && label.len() <= MAX_LABEL_LEN);
                prop_assert!(!label.chars().any(char::is_control));
                prop_assert!(serde_json::to_string(&label).unwrap().len() <= MAX_LABEL_LEN + 2);
            }
        }

        #[test]
        fn encoding_a_name_changes_nothing(name in "[\\PC&&[^%]]{1,60}") {
            let encoded: String = name.bytes().flat_map(|byte| ["%".to_owned(), hex(&[byte])]).collect();
            let as_is = String::from_utf8(name.clone().into_bytes()).unwrap();
            // Text that happens to be UTF-8 read as Latin-1 is taken for that.
            prop_assume!(in_latin1(&as_is).is_none_or(|bytes| bytes == as_is.as_bytes()));
            prop_assert_eq!(read(&encoded), read(&as_is));
        }

        #[test]
        fn no_number_of_labels_makes_more_than_the_most(
            parts in proptest::collection::vec(proptest::collection::vec(0_u32..900, 0..400), 1..6),
        ) {
            let mut labels = Labels::default();
            let calls: usize = parts.iter().map(Vec::len).sum();
            for part in &parts {
                let mut more = Labels::default();
                for n in part {
                    more.add(&n.to_string(), &LabelSums { calls: 1, ..LabelSums::default() });
                }
                labels.merge(&more);
            }
            let text = serde_json::to_string(&labels).unwrap();
            prop_assert_eq!(serde_json::from_str::<Labels>(&text).unwrap(), labels.clone());
            prop_assert!(labels.iter().filter(|(label, _)| *label != OTHER).count() <= MAX_LABELS);
            prop_assert_eq!(labels.iter().map(|(_, sums)| sums.calls).sum::<u64>(), calls as u64);
        }
    }

    #[test]
    fn calls_count_under_their_label_and_day() {
        let call = |label: Option<&str>, at, outcome| UsageEvent {
            label: label.map(Into::into),
            at,
            outcome,
            ..event()
        };
        let calls = [
            call(Some("a"), 5, Outcome::Ok),
            call(Some("a"), 9, Outcome::DeniedScope),
            call(Some("a"), DAY_MS + 1, Outcome::Timeout),
            call(None, 7, Outcome::Ok),
        ];
        let tallies = LabelTallies::of(&calls);
        let text = serde_json::to_string(&tallies).unwrap();
        assert_eq!(
            text,
            r#"[[{"day":0,"team_id":"ops","token_id":"tok_1"},{"a":[2,1,1,0,0,0,9]}],[{"day":86400000,"team_id":"ops","token_id":"tok_1"},{"a":[1,0,0,0,0,0,86400001]}]]"#
        );
        assert_eq!(serde_json::from_str::<LabelTallies>(&text).unwrap(), tallies);
        assert!(LabelTallies::of(&calls[3..]).is_empty());
    }
}
