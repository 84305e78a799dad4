//! Points in time.

use crate::format;
use crate::i18n::use_i18n;
use domain::time::{UnixMs, to_rfc3339};
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct TimeProps {
    pub at: UnixMs,
    /// Whether the distance from now is shown; the time itself is then in the tooltip.
    #[prop_or_default]
    pub is_relative: bool,
    /// Whether something ends then: the day is shown, and the distance behind it.
    #[prop_or_default]
    pub is_end: bool,
}

/// A time in the reader's zone, with the zone.
#[component]
pub fn Time(props: &TimeProps) -> Html {
    let i18n = use_i18n();
    let exact = format::date_time_exact(&i18n, props.at);
    let text = if props.is_end {
        format::end(&i18n, props.at)
    } else if props.is_relative {
        format::relative(&i18n, props.at)
    } else {
        format::date_time(&i18n, props.at)
    };
    html! { <time datetime={to_rfc3339(props.at)} title={exact}>{ text }</time> }
}
