//! Small pictures of numbers. They are drawn as SVG, since the site's policy allows no styles in attributes.

use crate::format;
use crate::hooks::Courses;
use crate::i18n::I18n;
use yew::prelude::*;

/// Calls of one interval, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bar {
    pub ok: u64,
    pub errors: u64,
    pub refused: u64,
    /// Anything else that is counted, in a colour without a meaning.
    pub plain: u64,
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct SparklineProps {
    /// The intervals, all of the same width.
    pub bars: Vec<Bar>,
    /// Describes it to people who cannot see it.
    pub label: AttrValue,
}

const HEIGHT: u64 = 100;

/// A bar for each interval: successful calls at the bottom, failed ones above them, refused ones on top.
#[component]
pub fn Sparkline(props: &SparklineProps) -> Html {
    let total = |bar: &Bar| bar.ok + bar.errors + bar.refused + bar.plain;
    let most = props.bars.iter().map(total).max().unwrap_or_default().max(1);
    let bars = props.bars.iter().enumerate().map(|(n, bar)| {
        let mut below = 0;
        let parts = [
            (bar.ok, "tm-fill-ok"),
            (bar.errors, "tm-fill-error"),
            (bar.refused, "tm-fill-denied"),
            (bar.plain, "tm-fill-share"),
        ];
        let rects = parts.into_iter().filter(|(calls, _)| *calls > 0).map(|(calls, class)| {
            // A single call is still visible.
            let height = (calls.saturating_mul(HEIGHT) / most).max(4);
            below += height;
            let (x, y) = (n * 4, HEIGHT.saturating_sub(below));
            html! { <rect {class} x={x.to_string()} y={y.to_string()} width="3" height={height.to_string()} /> }
        });
        rects.collect::<Html>()
    });
    let view_box = format!("0 0 {} {HEIGHT}", (props.bars.len() * 4).max(1));
    html! {
        <svg class="tm-spark" viewBox={view_box} preserveAspectRatio="none" role="img" aria-label={&props.label}>{ for bars }</svg>
    }
}

/// The cell with the last day of a list's row: "–" until it is known, and nothing drawn without calls.
pub fn course_cell(i18n: &I18n, courses: Option<&Courses>, id: &str) -> Html {
    let Some(courses) = courses else { return html! { "–" } };
    let Some(course) = courses.get(id) else { return html! { "0" } };
    let calls = format::number(i18n, course.calls);
    html! {
        <span class="tm-course">
            <Sparkline bars={course.bars.clone()} label={i18n.t("usage.course")} />
            { calls }
        </span>
    }
}

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct ShareProps {
    pub part: u64,
    pub whole: u64,
    /// Colour of the bar.
    #[prop_or("tm-fill-share")]
    pub class: &'static str,
}

/// A bar as long as a part of a whole. The figure is beside it, so it says nothing to screen readers.
#[component]
pub fn Share(props: &ShareProps) -> Html {
    let width = (props.part.min(props.whole) * 1_000).checked_div(props.whole).unwrap_or_default();
    html! {
        <svg class="tm-share" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">
            <rect class={props.class} width={width.to_string()} height="10" />
        </svg>
    }
}
