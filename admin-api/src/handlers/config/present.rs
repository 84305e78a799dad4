//! The system as the items of a configuration.

use crate::db::tokens::ListFilter;
use crate::db::{Db, Param, channels, config, prices, routes, teams, to_json, tokens};
use crate::error::Failure;
use crate::request::Call;
use contract::config::{item_of_channel, item_of_price, item_of_route, item_of_team, item_of_token};
use contract::tokens::{TokenSort, TokenView};
use domain::access::record::TokenState;
use domain::collect;
use domain::config::{Item, Kind};
use domain::id::RouteId;
use domain::people::role::{Action, Caller};
use domain::problem::Clash;
use std::collections::{BTreeMap, BTreeSet};

/// More teams, routes or prices than any installation has.
const MOST: u32 = 100_000;
/// Tokens that are read at once.
const PAGE: u32 = 2_000;

/// The place of an item in the system.
#[derive(Clone, Debug)]
pub struct Place {
    pub id: String,
    pub version: Option<u64>,
}

/// The items of the system.
#[derive(Debug, Default)]
pub struct Present {
    pub items: Vec<Item>,
    pub places: BTreeMap<(Kind, String), Place>,
    /// Items that earlier applies have made.
    pub made: BTreeSet<(Kind, String)>,
    /// Tokens that are not the only one of their name in their team.
    pub left_out: Vec<String>,
    /// Channels likewise.
    pub several_channels: BTreeSet<String>,
}

impl Present {
    /// Reads everything. Fails if a stored value cannot be read: it would look like none.
    pub async fn read(call: &Call, caller: &Caller) -> Result<Self, Failure> {
        let db = call.db()?;
        let mut present = Self::default();
        for team in teams::list(&db, caller, None, None, ("", ""), MOST).await? {
            refuse_unreadable(&team.unreadable)?;
            present.put(item_of_team(&team), team.id.to_string(), Some(team.version));
        }
        let stored = routes::list(&db, None, None, "", MOST).await?;
        let path = |route: &routes::Stored| (route.view.id.clone(), route.view.path.as_str().to_owned());
        let paths: BTreeMap<RouteId, String> = collect::map(stored.iter().map(path));
        for route in &stored {
            refuse_unreadable(&route.view.unreadable)?;
            let item = item_of_route(&route.view, &route.upstream, &paths);
            present.put(item, route.view.id.to_string(), Some(route.view.version));
        }
        present.read_tokens(call, &db).await?;
        for price in prices::list(&db, call.now, None, "", MOST).await? {
            present.put(item_of_price(&price), price.model, None);
        }
        present.read_channels(caller, &db).await?;
        let made = config::made(&db).await?;
        let made: BTreeSet<(String, String)> =
            collect::set(made.into_iter().map(|row| (row.kind, row.entity_id)));
        let is_made = |(kind, _): &(Kind, String), place: &Place| {
            made.contains(&(name_of(*kind).to_owned(), place.id.clone()))
        };
        present.made = collect::set(
            present.places.iter().filter(|(id, place)| is_made(id, place)).map(|(id, _)| id.clone()),
        );
        Ok(present)
    }

    async fn read_tokens(&mut self, call: &Call, db: &Db) -> Result<(), Failure> {
        let mut all: Vec<TokenView> = vec![];
        loop {
            let last = all.last().map(|token| (token.created_at, token.id.to_string()));
            let filter = ListFilter {
                teams: None,
                search: None,
                state: None,
                now: call.now,
                sort: TokenSort::OldestFirst,
                after: last.as_ref().map(|(at, id)| (Param::from(*at), id.as_str())),
                limit: PAGE,
            };
            let page = tokens::list(db, &filter).await?;
            let is_last = page.len() < PAGE as usize;
            all.extend(page);
            if is_last {
                break;
            }
        }
        let mut twice = BTreeSet::new();
        for token in all.into_iter().filter(|token| token.state != TokenState::Revoked) {
            refuse_unreadable(&token.unreadable)?;
            let item = item_of_token(&token);
            if self.places.contains_key(&(Kind::Token, item.key.clone())) {
                twice.insert(item.key);
            } else {
                self.put(item, token.id.to_string(), Some(token.version));
            }
        }
        self.items.retain(|item| item.kind != Kind::Token || !twice.contains(&item.key));
        self.left_out = twice.into_iter().collect();
        Ok(())
    }

    /// Reads the channels that the caller may read.
    async fn read_channels(&mut self, caller: &Caller, db: &Db) -> Result<(), Failure> {
        let teams = caller.teams_for(Action::ReadChannel);
        let teams = teams.as_ref().map(to_json).transpose()?;
        for channel in channels::list(db, teams.as_deref(), ("", ""), MOST).await? {
            let item = item_of_channel(&channel);
            if self.places.contains_key(&(Kind::Channel, item.key.clone())) {
                self.several_channels.insert(item.key);
            } else {
                self.put(item, channel.id, Some(channel.version));
            }
        }
        let several = &self.several_channels;
        self.items.retain(|item| item.kind != Kind::Channel || !several.contains(&item.key));
        self.items.sort_by_key(|item| (item.kind, item.key.clone()));
        Ok(())
    }

    pub fn put(&mut self, item: Item, id: String, version: Option<u64>) {
        self.places.insert((item.kind, item.key.clone()), Place { id, version });
        self.items.push(item);
    }

    pub fn place(&self, kind: Kind, key: &str) -> Option<&Place> {
        self.places.get(&(kind, key.to_owned()))
    }
}

/// Returns the kind's name in the audit log.
fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Team => "team",
        Kind::Route => "route",
        Kind::Token => "token",
        Kind::Price => "price",
        Kind::Channel => "channel",
    }
}

fn refuse_unreadable(fields: &[String]) -> Result<(), Failure> {
    if fields.is_empty() { Ok(()) } else { Err(Failure::conflict("stored", Clash::StoredUnreadable)) }
}
