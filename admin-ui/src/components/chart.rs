//! Charts, drawn by `ECharts`. The first chart loads its code, which is no part of the first load of the
//! page. Only data is handed over, so no function crosses over and nothing is evaluated.

use gloo::events::EventListener;
use gloo::utils::document;
use serde_json::{Value, json};
use web_sys::Element;
use yew::prelude::*;

const SCRIPT_ID: &str = "charts";

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct ChartProps {
    /// Describes the chart to people who cannot see it; a table nearby has the figures.
    pub label: AttrValue,
    /// The options of `ECharts`.
    pub options: Value,
    /// Charts of one group share a crosshair.
    #[prop_or_default]
    pub group: Option<&'static str>,
    /// Emits the numbers of the first and the last interval that people drag over.
    #[prop_or_default]
    pub on_range: Option<Callback<(usize, usize)>>,
}

#[component]
pub fn Chart(props: &ChartProps) -> Html {
    use_effect_with((), |()| load());
    let node = use_node_ref();
    use_effect_with((node.clone(), props.on_range.clone()), |(node, on_range)| {
        let listener = node.cast::<Element>().zip(on_range.clone()).map(|(chart, on_range)| {
            EventListener::new(&chart.clone(), "range", move |_| {
                let range = chart.get_attribute("data-range");
                let ends = range.as_deref().and_then(|range| range.split_once('-'));
                if let Some(ends) = ends.and_then(|(first, last)| first.parse().ok().zip(last.parse().ok())) {
                    on_range.emit(ends);
                }
            })
        });
        move || drop(listener)
    });
    let selectable = props.on_range.as_ref().map(|_| "true");
    html! {
        <tm-chart ref={node} {selectable} class="tm-chart" role="img" aria-label={&props.label} group={props.group} options={props.options.to_string()} />
    }
}

/// Loads the code, once in a page's life.
fn load() {
    let document = document();
    if document.get_element_by_id(SCRIPT_ID).is_some() {
        return;
    }
    // None of these can fail: the names are constants, and the page has a head and says where its program is.
    let program =
        document.get_element_by_id("program").and_then(|program| program.get_attribute("data-charts"));
    if let (Ok(script), Some(head), Some(charts)) =
        (document.create_element("script"), document.head(), program)
    {
        let _ = script.set_attribute("type", "module");
        let _ = script.set_attribute("src", &charts);
        script.set_id(SCRIPT_ID);
        let _ = head.append_child(&script);
    }
}

/// The shape of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Bars, one series on top of the other.
    Bars,
    Line,
    /// For what something is compared with.
    Dashed,
}

/// The unit of a chart's axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Count,
    Milliseconds,
    /// Values are micro-dollars.
    Dollars,
}

impl Unit {
    fn value(self, value: u64) -> Value {
        match self {
            Self::Count | Self::Milliseconds => value.into(),
            // Exact: a decimal number has six places.
            Self::Dollars => {
                format!("{}.{:06}", value / 1_000_000, value % 1_000_000).parse().unwrap_or_default()
            }
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Count => "",
            Self::Milliseconds => "ms",
            Self::Dollars => "$",
        }
    }
}

/// One series of a chart over time.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    /// A value for each interval; `None` where nothing is known.
    pub values: Vec<Option<u64>>,
    pub look: Look,
    /// The colour, if it has a meaning; else the palette's next.
    pub color: Option<&'static str>,
}

/// A chart over time. Every interval has its place, with or without calls.
#[derive(Clone, Debug)]
pub struct Plot {
    pub labels: Vec<String>,
    pub series: Vec<Series>,
    pub unit: Unit,
    /// Whether the last interval has not ended: its bars are pale, since they still grow.
    pub is_unfinished: bool,
}

impl Plot {
    /// Returns the options of the chart.
    pub fn options(&self) -> Value {
        let drawn: Vec<Value> = self.series.iter().map(|series| self.drawn(series)).collect();
        json!({
            "unit": self.unit.name(),
            "tooltip": {"trigger": "axis", "axisPointer": {"type": "line"}},
            "legend": {"bottom": 0, "type": "scroll", "itemWidth": 12, "itemHeight": 8},
            "grid": {"left": 56, "right": 8, "top": 12, "bottom": 52},
            "xAxis": {"type": "category", "data": self.labels, "boundaryGap": true},
            "yAxis": [{"type": "value", "minInterval": u8::from(self.unit != Unit::Dollars), "splitNumber": 4}],
            "series": drawn,
        })
    }

    fn drawn(&self, series: &Series) -> Value {
        let is_bar = series.look == Look::Bars;
        let mut data: Vec<Value> = series
            .values
            .iter()
            .map(|value| value.map_or(Value::Null, |value| self.unit.value(value)))
            .collect();
        if let (true, true, Some(last)) = (self.is_unfinished, is_bar, data.last_mut()) {
            *last = json!({"value": last, "itemStyle": {"opacity": 0.45}});
        }
        let mut drawn = json!({
            "name": series.name,
            "type": if is_bar { "bar" } else { "line" },
            "data": data,
            // A value between two unknown ones is no line.
            "showSymbol": series.look == Look::Line && series.values.iter().flatten().count() < 40,
            "symbolSize": 5,
            "barMaxWidth": 28,
            "barCategoryGap": "15%",
            "connectNulls": false,
        });
        let line = match (series.look, series.color) {
            (Look::Dashed, color) => Some(json!({"type": "dashed", "width": 1.5, "color": color})),
            (_, color) => color.map(|color| json!({"color": color, "width": 2})),
        };
        let more = [
            ("stack", is_bar.then(|| "all".into())),
            ("lineStyle", line),
            ("itemStyle", series.color.map(|color| json!({"color": color}))),
        ];
        if let Some(drawn) = drawn.as_object_mut() {
            drawn.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_left_open_and_what_still_grows_is_pale() {
        let series =
            |look| Series { name: "s".into(), values: vec![None, Some(1_250_000)], look, color: Some("red") };
        let plot = Plot {
            labels: vec!["a".into(), "b".into()],
            series: vec![series(Look::Bars), series(Look::Dashed)],
            unit: Unit::Dollars,
            is_unfinished: true,
        };
        let options = plot.options();
        assert_eq!(options["series"][0]["data"][0], Value::Null);
        assert_eq!(options["series"][0]["data"][1]["value"], 1.25);
        assert_eq!(options["series"][0]["data"][1]["itemStyle"]["opacity"], 0.45);
        assert_eq!(options["series"][1]["data"][1], 1.25);
        assert_eq!(options["series"][1]["lineStyle"]["type"], "dashed");
    }
}
