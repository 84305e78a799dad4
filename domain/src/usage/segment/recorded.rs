//! Calls as a dry run reads them: only the fields that decide about a call, and those that tell people which one it was.
//!
//! A dry run reads up to 200,000 calls, so nothing is allocated for a field, and the others are skipped.

use super::search::{Fields, Search};
use crate::time::UnixMs;
use crate::usage::outcome::{Outcome, OutcomeClass};
use serde::de::value::MapAccessDeserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt::{self, Formatter};

/// Calls of a block, for which room is made at once.
const USUAL_CALLS: usize = 300;

/// A recorded call. A text that it lacks is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recorded<'a> {
    /// The call's own id.
    pub id: &'a str,
    /// The id that the client was told.
    pub request_id: &'a str,
    /// When it came in, unix ms.
    pub at: UnixMs,
    /// The token that called.
    pub token: &'a str,
    /// Its team.
    pub team: &'a str,
    /// The route that took it.
    pub route: &'a str,
    /// In upper case.
    pub method: &'a str,
    /// The path as it was decided on, up to 512 bytes.
    pub path: &'a str,
    /// Status of the response.
    pub status: u16,
    /// The outcome by its name.
    pub outcome: &'a str,
    /// The client's address.
    pub client_ip: &'a str,
    /// The client's `User-Agent`.
    pub user_agent: &'a str,
    /// The nonce of the derived token that called, or that the call derived.
    pub derived: &'a str,
    /// Length of the request's body, if it was announced.
    pub bytes_in: Option<u64>,
    /// The use of a metered call; `None` if it was not charged.
    pub ai: Option<Used>,
}

/// The use of a metered call. `None` is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Used {
    /// Tokens of the prompt.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the completion.
    pub completion_tokens: Option<u64>,
    /// Micro-dollars.
    pub cost_micros: Option<u64>,
}

impl Recorded<'_> {
    /// Whether the gateway's rules let the call in, whatever became of it then. A newer version's outcome is read as that
    /// of its status.
    pub fn was_let_in(&self) -> bool {
        let known = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == self.outcome);
        let outcome = known.unwrap_or_else(|| Outcome::of_status(self.status));
        let is_refused = matches!(outcome.class(), OutcomeClass::Denied | OutcomeClass::Limited);
        !is_refused && outcome != Outcome::Maintenance
    }
}

impl Fields for Recorded<'_> {
    fn text(&self, field: &str) -> &str {
        match field {
            "id" => self.id,
            "token_id" => self.token,
            "team" => self.team,
            "route_id" => self.route,
            "outcome" => self.outcome,
            "method" => self.method,
            "path" => self.path,
            "request_id" => self.request_id,
            "client_ip" => self.client_ip,
            _ => "",
        }
    }

    fn time(&self) -> UnixMs {
        self.at
    }

    fn model(&self) -> &str {
        self.text("model")
    }

    fn status(&self) -> u16 {
        self.status
    }
}

/// Hands out those of the calls that [`super::encode`] wrote that are searched for.
///
/// # Errors
/// The cause, if it is not such JSON.
pub fn each(bytes: &[u8], search: &Search, mut found: impl FnMut(&Recorded)) -> serde_json::Result<()> {
    let Segment { calls, columns } = serde_json::from_slice(bytes)?;
    let mut at: UnixMs = 0;
    for row in 0..calls {
        at = at.saturating_add(columns.at.number(row).unwrap_or(0));
        let call = columns.call(row, at);
        if search.finds(&call) {
            found(&call);
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Segment<'a> {
    calls: usize,
    #[serde(borrow)]
    columns: Columns<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Columns<'a> {
    #[serde(borrow)]
    id: Column<'a>,
    #[serde(borrow)]
    request_id: Column<'a>,
    #[serde(borrow)]
    at: Column<'a>,
    #[serde(borrow)]
    token_id: Column<'a>,
    #[serde(borrow)]
    team: Column<'a>,
    #[serde(borrow)]
    route_id: Column<'a>,
    #[serde(borrow)]
    method: Column<'a>,
    #[serde(borrow)]
    path: Column<'a>,
    #[serde(borrow)]
    status: Column<'a>,
    #[serde(borrow)]
    outcome: Column<'a>,
    #[serde(borrow)]
    client_ip: Column<'a>,
    #[serde(borrow)]
    user_agent: Column<'a>,
    #[serde(borrow)]
    derived: Column<'a>,
    #[serde(borrow)]
    bytes_in: Column<'a>,
    #[serde(borrow)]
    ai: Column<'a>,
}

impl Columns<'_> {
    fn call(&self, row: usize, at: UnixMs) -> Recorded<'_> {
        let status = self.status.number(row).and_then(|status| u16::try_from(status).ok());
        Recorded {
            id: self.id.text(row),
            request_id: self.request_id.text(row),
            at,
            token: self.token_id.text(row),
            team: self.team.text(row),
            route: self.route_id.text(row),
            method: self.method.text(row),
            path: self.path.text(row),
            status: status.unwrap_or(0),
            outcome: self.outcome.text(row),
            client_ip: self.client_ip.text(row),
            user_agent: self.user_agent.text(row),
            derived: self.derived.text(row),
            bytes_in: self.bytes_in.number(row).and_then(|bytes| u64::try_from(bytes).ok()),
            ai: match self.ai.value(row) {
                Some(Cell::Used(used)) => Some(**used),
                _ => None,
            },
        }
    }
}

/// A value for each call, or the one that all have.
enum Column<'a> {
    One(Cell<'a>),
    Many(Vec<Cell<'a>>),
}

impl Default for Column<'_> {
    fn default() -> Self {
        Self::One(Cell::Nothing)
    }
}

impl<'a> Column<'a> {
    fn value(&self, row: usize) -> Option<&Cell<'a>> {
        match self {
            Self::One(value) => Some(value),
            Self::Many(values) => values.get(row),
        }
    }

    fn text(&self, row: usize) -> &str {
        if let Some(Cell::Text(text)) = self.value(row) { text } else { "" }
    }

    fn number(&self, row: usize) -> Option<i64> {
        if let Some(Cell::Number(number)) = self.value(row) { Some(*number) } else { None }
    }
}

enum Cell<'a> {
    Nothing,
    Text(Cow<'a, str>),
    Number(i64),
    Used(Box<Used>),
}

/// Reads one value.
struct Reading;
/// Reads a column.
struct ReadingColumn;

impl<'de: 'a, 'a> Deserialize<'de> for Cell<'a> {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        value.deserialize_any(Reading)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Column<'a> {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        value.deserialize_any(ReadingColumn)
    }
}

impl<'de> Visitor<'de> for Reading {
    type Value = Cell<'de>;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a call")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cell<'de>, E> {
        Ok(Cell::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cell<'de>, E> {
        Ok(Cell::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Cell<'de>, E> {
        Ok(Cell::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Cell<'de>, E> {
        Ok(Cell::Number(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Cell<'de>, E> {
        Ok(Cell::Nothing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Cell<'de>, E> {
        Ok(Cell::Nothing)
    }

    fn visit_unit<E>(self) -> Result<Cell<'de>, E> {
        Ok(Cell::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Cell<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Cell::Nothing)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Cell<'de>, A::Error> {
        Used::deserialize(MapAccessDeserializer::new(members)).map(|used| Cell::Used(Box::new(used)))
    }
}

/// Reads a value that is not a list as [`Reading`] does.
macro_rules! as_one {
    ($($visit:ident: $kind:ty),*) => {
        $(fn $visit<E>(self, value: $kind) -> Result<Column<'de>, E>
        where
            E: serde::de::Error,
        {
            Reading.$visit(value).map(Column::One)
        })*
    };
}

impl<'de> Visitor<'de> for ReadingColumn {
    type Value = Column<'de>;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("values of calls")
    }

    as_one!(visit_borrowed_str: &'de str, visit_str: &str, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_bool: bool);

    fn visit_unit<E: serde::de::Error>(self) -> Result<Column<'de>, E> {
        Reading.visit_unit().map(Column::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Column<'de>, A::Error> {
        let mut values = Vec::with_capacity(items.size_hint().unwrap_or(USUAL_CALLS));
        while let Some(value) = items.next_element()? {
            values.push(value);
        }
        Ok(Column::Many(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Column<'de>, A::Error> {
        Reading.visit_map(members).map(Column::One)
    }
}
