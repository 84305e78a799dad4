//! The last day of the tokens or routes of a page.

use crate::api::use_api;
use crate::components::Bar;
use crate::hooks::use_remote;
use contract::usage::{ExploreQuery, ExploreUsage, GroupBy, UsageGroup};
use domain::usage::span::Interval;
use std::collections::BTreeMap;
use std::rc::Rc;
use yew::prelude::*;

/// The calls of one token or route by hour, and how many there were.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Course {
    pub bars: Vec<Bar>,
    pub calls: u64,
}

/// Courses by id. Those that were not called are absent.
pub type Courses = BTreeMap<String, Course>;

/// Reads the last 24 hours of what a page lists, in one call. `None` until they are known: the list does not wait.
#[hook]
pub fn use_courses(by: GroupBy, ids: Vec<String>) -> Option<Rc<Courses>> {
    let api = use_api();
    let courses = use_remote(ids.clone(), move |ids: Vec<String>| {
        let api = api.clone();
        let count = u32::try_from(ids.len()).ok();
        let query = ExploreQuery {
            group_by: Some(by),
            ids: Some(ids.join(",")),
            interval: Some(Interval::Hour),
            limit: count.filter(|count| *count > 0),
            drawn: count,
            ..ExploreQuery::default()
        };
        async move {
            if count == Some(0) {
                return Ok((ids, Rc::new(Courses::new())));
            }
            let report = api.request::<ExploreUsage>().query(&query).send().await?;
            Ok((ids, Rc::new(report.groups.iter().filter_map(course).collect())))
        }
    });
    // Those of the page before are not those of this one.
    courses.state.ready().filter(|read| read.0 == ids).map(|read| Rc::clone(&read.1))
}

fn course(group: &UsageGroup) -> Option<(String, Course)> {
    let bars = group.series.iter().map(|point| Bar {
        ok: point.calls.saturating_sub(point.errors).saturating_sub(point.refused),
        errors: point.errors,
        refused: point.refused,
        ..Bar::default()
    });
    Some((group.id.clone()?, Course { bars: bars.collect(), calls: group.figures.calls }))
}
