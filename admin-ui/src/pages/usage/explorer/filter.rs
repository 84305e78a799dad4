//! The explorer's address.

use crate::components::Range;
use contract::usage::{Compare, ExploreQuery, GroupBy};
use domain::usage::metric::Metric;
use serde::{Deserialize, Serialize};

/// The part of the address after the question mark.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageFilter {
    pub metric: Option<Metric>,
    pub by: Option<By>,
    pub compare: Option<Compare>,
    pub team: Option<String>,
    pub token: Option<String>,
    pub route: Option<String>,
    /// An AI model; with it, or split by model, there is no token and no route.
    pub model: Option<String>,
    /// The column that groups are sorted by, and whether the least comes first.
    pub sort: Option<String>,
    pub order: Option<Order>,
    #[serde(flatten)]
    pub range: Range,
}

/// The way to split calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    #[default]
    Outcome,
    Token,
    Route,
    Team,
    Model,
}

impl By {
    pub fn group_by(self) -> Option<GroupBy> {
        match self {
            Self::Outcome => None,
            Self::Token => Some(GroupBy::Token),
            Self::Route => Some(GroupBy::Route),
            Self::Team => Some(GroupBy::Team),
            Self::Model => Some(GroupBy::Model),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    Ascending,
    Descending,
}

impl UsageFilter {
    pub fn query(self) -> ExploreQuery {
        let span = self.range.query();
        ExploreQuery {
            from: span.from,
            to: span.to,
            interval: span.interval,
            tz: span.tz,
            team_id: self.team.map(Into::into),
            token_id: self.token.map(Into::into),
            route_id: self.route.map(Into::into),
            model: self.model,
            group_by: self.by.unwrap_or_default().group_by(),
            metric: self.metric,
            compare: self.compare,
            ..ExploreQuery::default()
        }
    }

    /// Whether only AI calls are counted.
    pub fn is_of_ai(&self) -> bool {
        self.by == Some(By::Model) || self.model.is_some()
    }

    /// The filter that shows a token's calls by route.
    pub fn of_token(id: &str) -> Self {
        Self { token: Some(id.to_owned()), by: Some(By::Route), ..Self::default() }
    }

    /// Whatever is asked of the API again if it changes.
    pub fn asked(&self) -> Self {
        Self { sort: None, order: None, ..self.clone() }
    }
}
