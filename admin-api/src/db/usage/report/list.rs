//! Lists of all tokens and of all routes, called or not.

use super::super::super::{Db, StoreError, UsageDb, params, sql, to_json};
use super::ATTEMPTS;
use super::order::{After, Entity, page_of, place_of};
use super::reading::{Shown, SplitReading, read_shown, read_split};
use contract::usage::{RouteUsage, TokenUsage, UsageSort};
use domain::id::{RouteId, TokenId};
use domain::usage::report::{LineKey, Split, Whose};
use domain::usage::rollup::Rollup;
use domain::usage::span::Span;

/// The tokens or routes that a list shows, and the position to start from.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The calls that are counted. Only tokens of its teams are listed.
    pub whose: &'a Whose,
    pub spans: &'a [Span],
    pub search: Option<&'a str>,
    pub sort: UsageSort,
    pub after: Option<&'a After>,
    pub limit: usize,
}

impl Wanted<'_> {
    fn teams(&self) -> Result<Option<String>, StoreError> {
        self.whose.teams.as_ref().map(to_json).transpose()
    }
}

/// An item of a list, and its place in it.
#[derive(Debug)]
pub struct Listed<T> {
    pub place: After,
    pub item: T,
}

/// Lists tokens.
pub async fn list_tokens(
    db: &Db,
    usage: &UsageDb,
    wanted: &Wanted<'_>,
) -> Result<Vec<Listed<TokenUsage>>, StoreError> {
    let teams = wanted.teams()?;
    let statement = db.statement(sql!("usage_tokens"), params![teams.as_ref(), wanted.search])?;
    let page = page_with_sums(usage, wanted, Split::Token, db.rows(statement).await?).await?;
    let listed = |(place, entity, rollup): (After, Entity, Rollup)| Listed {
        place,
        item: TokenUsage {
            token_id: TokenId::from(entity.id),
            name: Some(entity.name),
            team_id: entity.team_id,
            last_used_at: entity.last_at,
            figures: (&rollup).into(),
        },
    };
    Ok(page.into_iter().map(listed).collect())
}

/// Lists routes.
pub async fn list_routes(
    db: &Db,
    usage: &UsageDb,
    wanted: &Wanted<'_>,
) -> Result<Vec<Listed<RouteUsage>>, StoreError> {
    let statement = db.statement(sql!("usage_routes"), params![wanted.search])?;
    let page = page_with_sums(usage, wanted, Split::Route, db.rows(statement).await?).await?;
    let listed = |(place, entity, rollup): (After, Entity, Rollup)| Listed {
        place,
        item: RouteUsage {
            route_id: Some(RouteId::from(entity.id)),
            path: Some(entity.name),
            last_used_at: entity.last_at,
            figures: (&rollup).into(),
        },
    };
    Ok(page.into_iter().map(listed).collect())
}

/// Returns a page of entities with their sums.
async fn page_with_sums(
    usage: &UsageDb,
    wanted: &Wanted<'_>,
    split: Split,
    entities: Vec<Entity>,
) -> Result<Vec<(After, Entity, Rollup)>, StoreError> {
    let mut attempt = 1;
    loop {
        let reading = read_split(usage, wanted.whose, split, wanted.spans).await?;
        let page = page_in(&reading, wanted, split, &entities);
        let keys = page.iter().map(|(_, entity)| key_of(entity, split)).collect();
        let shown = vec![Shown::new(split, keys, reading.candidates)];
        let (later, lines) = read_shown(usage, wanted.whose, wanted.spans, shown).await?;
        if later != reading.version && attempt < ATTEMPTS {
            attempt += 1;
            continue;
        }
        let mut lines = lines.into_iter().next().unwrap_or_default();
        let with_sums = |(place, entity): (After, Entity)| {
            let sums = lines.remove(&(0, key_of(&entity, split))).unwrap_or_default();
            (place, entity, sums.rollup)
        };
        return Ok(page.into_iter().map(with_sums).collect());
    }
}

/// Returns the entities of a page.
fn page_in(
    reading: &SplitReading,
    wanted: &Wanted<'_>,
    split: Split,
    entities: &[Entity],
) -> Vec<(After, Entity)> {
    let placed = |entity: &Entity| {
        let last_at = entity.last_at.max(reading.last_calls.get(&entity.id).copied());
        let entity = Entity { last_at, ..entity.clone() };
        let counts = reading.candidates.counts(&key_of(&entity, split));
        (place_of(&entity, counts, wanted.sort), entity)
    };
    page_of(entities.iter().map(placed).collect(), wanted.after, wanted.limit)
}

fn key_of(entity: &Entity, split: Split) -> LineKey {
    let team = entity.team_id.as_ref().filter(|_| split == Split::Token);
    LineKey { id: entity.id.clone(), team: team.map(ToString::to_string).unwrap_or_default() }
}
