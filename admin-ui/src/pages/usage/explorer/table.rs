//! Groups as a table that can be sorted by every figure.

use super::chart::name_of;
use super::filter::{By, Order, UsageFilter};
use crate::components::{Column, DataTable, Row, Share};
use crate::format;
use crate::i18n::{I18n, use_i18n};
use crate::pages::usage::figures::{
    UNKNOWN, admitted, error_rate, errors_of, metric_name, refused_of, shown,
};
use crate::route::Route;
use contract::usage::{Explored, UsageGroup, value_of};
use domain::usage::metric::Metric;
use patternfly_yew::prelude::*;
use std::cmp::Ordering;
use std::rc::Rc;
use yew::prelude::*;
use yew_router::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct GroupsProps {
    pub report: Rc<Explored>,
    pub filter: UsageFilter,
    pub on_filter: Callback<UsageFilter>,
}

/// A column and the name that the address has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Name,
    Calls,
    ErrorRate,
    Refused,
    Cost,
    AiTokens,
    PerThousand,
    P95,
    Change,
}

impl Key {
    const ALL: [(Self, &str); 9] = [
        (Self::Name, "name"),
        (Self::Calls, "calls"),
        (Self::ErrorRate, "error_rate"),
        (Self::Refused, "refused"),
        (Self::Cost, "cost"),
        (Self::AiTokens, "ai_tokens"),
        (Self::PerThousand, "per_thousand"),
        (Self::P95, "p95"),
        (Self::Change, "change"),
    ];

    /// The column that groups come sorted by.
    fn of(metric: Metric) -> Self {
        match metric {
            Metric::Errors => Self::ErrorRate,
            Metric::Refused => Self::Refused,
            Metric::Cost => Self::Cost,
            Metric::AiTokens => Self::AiTokens,
            _ => Self::Calls,
        }
    }

    /// The figure that a group is sorted by, in thousandths where it is a part; names have none.
    fn value(self, group: &UsageGroup, metric: Metric) -> Option<i128> {
        let figures = &group.figures;
        let whole = |value: u64| i128::from(value);
        let part = |part: u64, all: u64| (whole(part) * 1_000_000).checked_div(whole(all));
        match self {
            Self::Name => None,
            Self::Calls => Some(whole(figures.calls)),
            Self::ErrorRate => part(errors_of(figures), admitted(figures)),
            Self::Refused => Some(whole(refused_of(figures))),
            Self::Cost => Some(whole(figures.cost_micros)),
            Self::AiTokens => value_of(Metric::AiTokens, figures).map(whole),
            Self::PerThousand => per_thousand(group).map(whole),
            Self::P95 => figures.p95_ms.map(i128::from),
            Self::Change => {
                let before = value_of(metric, group.previous.as_ref()?)?;
                (before > 0).then(|| value_of(metric, figures).map(|now| part(now, before)))??
            }
        }
    }
}

/// Cost of a thousand calls, in micro-dollars.
fn per_thousand(group: &UsageGroup) -> Option<u64> {
    let cost = u128::from(group.figures.cost_micros) * 1_000;
    u64::try_from(cost.checked_div(u128::from(group.figures.calls))?).ok()
}

/// Sorts groups; those without a figure come last in either direction.
fn sort(i18n: &I18n, groups: &mut [UsageGroup], (key, order): (Key, Order), metric: Metric, by: By) {
    let direct = |ordering: Ordering| if order == Order::Descending { ordering.reverse() } else { ordering };
    groups.sort_by(|a, b| {
        if key == Key::Name {
            let lower = |group| name_of(i18n, group, by).to_lowercase();
            return direct(lower(a).cmp(&lower(b)));
        }
        match (key.value(a, metric), key.value(b, metric)) {
            (Some(a), Some(b)) => direct(a.cmp(&b)),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    });
}

#[component]
pub fn Groups(props: &GroupsProps) -> Html {
    let i18n = use_i18n();
    let GroupsProps { report, filter, .. } = props;
    let metric = filter.metric.unwrap_or_default();
    let mut groups = report.groups.clone();
    let named = filter.sort.as_ref().and_then(|name| Key::ALL.iter().find(|(_, other)| other == name));
    let chosen = named.map(|(key, _)| (*key, filter.order.unwrap_or(Order::Descending)));
    if let Some(chosen) = chosen {
        sort(&i18n, &mut groups, chosen, metric, filter.by.unwrap_or_default());
    }
    let columns = columns(&i18n, props, chosen.unwrap_or((Key::of(metric), Order::Descending)));
    let rows: Vec<Row> = groups.iter().map(|group| row(&i18n, props, group)).collect();
    let (title, shown) = (metric_name(&i18n, metric), groups.len());
    let count = |n: usize| format::number(&i18n, u64::try_from(n).unwrap_or_default());
    html! {
        <Card>
            <CardTitle component="h2">{ i18n.t("usage.groups") }</CardTitle>
            <CardBody>
                <DataTable label={title} {columns} {rows} />
                <p class="tm-subtle tm-below">
                    { i18n.fill("table.range-of", &[("first", &count(shown.min(1))), ("last", &count(shown)), ("all", &count(report.groups_called))]) }
                </p>
            </CardBody>
        </Card>
    }
}

fn columns(i18n: &I18n, props: &GroupsProps, (current, order): (Key, Order)) -> Vec<Column> {
    let GroupsProps { report, filter, on_filter } = props;
    let by = filter.by.unwrap_or_default();
    let first = match by {
        By::Token => i18n.t("token.title"),
        By::Team => i18n.t("team.title"),
        By::Model => i18n.t("calls.model"),
        By::Route | By::Outcome => i18n.t("route.title"),
    };
    let column = |key: Key, label: AttrValue| {
        let column = if key == Key::Name { Column::new(label) } else { Column::number(label) };
        let is_current = key == current;
        let next = match (is_current, order) {
            (true, Order::Descending) => Order::Ascending,
            (false, _) if key == Key::Name => Order::Ascending,
            _ => Order::Descending,
        };
        let name = Key::ALL.iter().find(|(other, _)| *other == key).map(|(_, name)| (*name).to_owned());
        let asked = UsageFilter { sort: name, order: Some(next), ..filter.clone() };
        column.sorted(
            is_current.then_some(order == Order::Ascending),
            on_filter.reform(move |()| asked.clone()),
        )
    };
    let mut all = vec![
        column(Key::Name, first),
        column(Key::Calls, i18n.t("usage.calls")),
        column(Key::ErrorRate, i18n.t("usage.error-rate")),
        column(Key::Refused, i18n.t("usage.refused")).minor(),
        column(Key::Cost, i18n.t("usage.cost")),
        column(Key::AiTokens, i18n.t("usage.ai-tokens")).minor(),
        column(Key::PerThousand, i18n.t("usage.per-thousand")).minor(),
        column(Key::P95, i18n.t("usage.p95")),
    ];
    if report.previous.is_some() {
        all.push(column(Key::Change, i18n.t("usage.change")));
    }
    all
}

fn row(i18n: &I18n, props: &GroupsProps, group: &UsageGroup) -> Row {
    let GroupsProps { report, filter, .. } = props;
    let metric = filter.metric.unwrap_or_default();
    let (figures, name) = (&group.figures, name_of(i18n, group, filter.by.unwrap_or_default()));
    // A latency has no share: the bar shows the calls then.
    let shared = match metric {
        Metric::P50 | Metric::P95 | Metric::P99 => Metric::Calls,
        other => other,
    };
    let value = |figures| value_of(shared, figures).unwrap_or_default();
    let of = |metric: Metric| html! { shown(i18n, metric, value_of(metric, figures)) };
    let mut cells = vec![
        html! {
            <>
                <Share part={value(figures)} whole={value(&report.total)} />
                <span class="tm-clip" title={name.clone()}>
                    if let Some(narrowed) = narrowed(filter, group) {
                        <Link<Route, UsageFilter> to={Route::Usage} query={Some(narrowed)}>{ &name }</Link<Route, UsageFilter>>
                    } else {
                        { &name }
                    }
                </span>
            </>
        },
        of(Metric::Calls),
        html! { error_rate(i18n, figures) },
        of(Metric::Refused),
        of(Metric::Cost),
        of(Metric::AiTokens),
        html! { per_thousand(group).map_or_else(|| UNKNOWN.to_owned(), |cost| format::dollars(i18n, cost)) },
        of(Metric::P95),
    ];
    if report.previous.is_some() {
        let change = group
            .previous
            .as_ref()
            .and_then(|before| format::change(i18n, value_of(metric, figures)?, value_of(metric, before)?));
        cells.push(html! { change.unwrap_or_else(|| UNKNOWN.to_owned()) });
    }
    (group.id.clone().unwrap_or_default(), cells)
}

/// The filter that shows one group, split the other way; `None` for calls that no filter can name.
fn narrowed(filter: &UsageFilter, group: &UsageGroup) -> Option<UsageFilter> {
    let id = Some(group.id.clone()?);
    let filter = UsageFilter { sort: None, order: None, ..filter.clone() };
    Some(match filter.by.unwrap_or_default() {
        By::Token => UsageFilter { token: id, by: Some(By::Route), ..filter },
        By::Route => UsageFilter { route: id, by: Some(By::Token), ..filter },
        By::Team if filter.model.is_some() => UsageFilter { team: id, by: Some(By::Outcome), ..filter },
        By::Team => UsageFilter { team: id, by: Some(By::Token), ..filter },
        By::Model => UsageFilter { model: id, by: Some(By::Team), ..filter },
        By::Outcome => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::preferences::Language;
    use contract::usage::Figures;

    fn group(name: &str, calls: u64, cost_micros: u64, before: Option<u64>) -> UsageGroup {
        UsageGroup {
            id: Some(name.into()),
            name: Some(name.into()),
            team_id: None,
            figures: Figures { calls, ok: calls, cost_micros, ..Figures::default() },
            previous: before.map(|calls| Figures { calls, ..Figures::default() }),
            series: vec![],
        }
    }

    #[test]
    fn groups_are_sorted_by_any_figure_and_the_unknown_comes_last() {
        let i18n = I18n::new(Language::English);
        let groups = [group("b", 10, 5, Some(5)), group("A", 0, 0, None), group("c", 4, 8, Some(8))];
        let sorted = |key, order| {
            let mut groups = groups.to_vec();
            sort(&i18n, &mut groups, (key, order), Metric::Calls, By::Token);
            groups.into_iter().filter_map(|group| group.name).collect::<String>()
        };
        assert_eq!(sorted(Key::Name, Order::Ascending), "Abc");
        assert_eq!(sorted(Key::Calls, Order::Descending), "bcA");
        assert_eq!(sorted(Key::PerThousand, Order::Descending), "cbA");
        assert_eq!(sorted(Key::PerThousand, Order::Ascending), "bcA");
        assert_eq!(sorted(Key::Change, Order::Descending), "bcA");
    }
}
