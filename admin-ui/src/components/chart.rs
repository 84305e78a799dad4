//! Charts, drawn by `ECharts`. The first chart loads its code, which is no part of the first load of the
//! page. Only data is handed over, so no function crosses over and nothing is evaluated.

use gloo::utils::document;
use serde_json::{Value, json};
use yew::prelude::*;

const SCRIPT_ID: &str = "charts";

#[derive(Clone, Debug, PartialEq, Properties)]
pub struct ChartProps {
    /// Describes the chart to people who cannot see it; a table nearby has the figures.
    pub label: AttrValue,
    /// The options of `ECharts`.
    pub options: Value,
}

#[component]
pub fn Chart(props: &ChartProps) -> Html {
    use_effect_with((), |()| load());
    html! {
        <tm-chart class="tm-chart" role="img" aria-label={&props.label} options={props.options.to_string()} />
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

/// One series of a chart over time.
#[derive(Clone, Debug)]
pub struct Series {
    pub name: String,
    pub values: Vec<Option<u64>>,
    pub is_line: bool,
    /// Whether the series is on the right axis, in ms.
    pub is_latency: bool,
    /// The colour, if it has a meaning; else the palette's next.
    pub color: Option<&'static str>,
}

/// Bars and lines over time; counts on the left axis, latencies on the right one. The last interval is pale if it has
/// not ended, since its counts still grow.
pub fn over_time(
    labels: &[String],
    series: &[Series],
    counts: &str,
    latency: Option<&str>,
    is_unfinished: bool,
) -> Value {
    let drawn: Vec<Value> = series
        .iter()
        .map(|series| {
            let mut data: Vec<Value> = series.values.iter().map(|value| json!(value)).collect();
            if let (true, false, Some(last)) = (is_unfinished, series.is_line, data.last_mut()) {
                let style = json!({"opacity": 0.4, "borderType": "dashed", "borderWidth": 1, "borderColor": series.color});
                *last = json!({"value": last, "itemStyle": style});
            }
            json!({
                "name": series.name,
                "type": if series.is_line { "line" } else { "bar" },
                "data": data,
                "yAxisIndex": u8::from(series.is_latency),
                "symbolSize": 5,
                "stack": if series.is_line { Value::Null } else { "counts".into() },
                "barMaxWidth": 28,
                "itemStyle": {"color": series.color},
                "lineStyle": {"color": series.color},
                "connectNulls": false,
            })
        })
        .collect();
    let mut axes =
        vec![json!({"type": "value", "name": counts, "minInterval": 1, "nameTextStyle": {"align": "left"}})];
    if let Some(latency) = latency {
        axes.push(json!({"type": "value", "name": latency, "splitLine": {"show": false}, "nameTextStyle": {"align": "right"}}));
    }
    json!({
        "tooltip": {"trigger": "axis"},
        "legend": {"bottom": 0, "type": "plain"},
        "grid": {"left": 8, "right": 8, "top": 40, "bottom": 44, "containLabel": true},
        "xAxis": {"type": "category", "data": labels},
        "yAxis": axes,
        "series": drawn,
    })
}

/// Shares of a whole.
pub fn shares(slices: &[(String, u64)]) -> Value {
    let data: Vec<Value> = slices.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({
        "tooltip": {"trigger": "item", "formatter": "{b}: {c} ({d} %)"},
        "legend": {"bottom": 0, "type": "scroll"},
        "series": [{"type": "pie", "radius": ["40%", "68%"], "center": ["50%", "44%"], "data": data, "label": {"show": false}}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_an_axis_of_their_own() {
        let series = |name: &str, is_latency| Series {
            name: name.into(),
            values: vec![Some(1), None],
            is_line: is_latency,
            is_latency,
            color: None,
        };
        let options = over_time(
            &["a".into(), "b".into()],
            &[series("calls", false), series("p95", true)],
            "n",
            Some("ms"),
            true,
        );
        assert_eq!(options["series"][0]["yAxisIndex"], 0);
        assert_eq!(options["series"][1]["yAxisIndex"], 1);
        assert_eq!(options["yAxis"].as_array().unwrap().len(), 2);
        assert_eq!(options["series"][1]["data"][1], Value::Null, "no calls are not zero");
        assert_eq!(options["series"][0]["data"][1]["itemStyle"]["opacity"], 0.4, "it has not ended");
    }
}
