use super::*;
use crate::upstream::settings::RouteSettings;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    name: String,
    #[serde(default)]
    counts: Vec<u8>,
    #[serde(default)]
    by_kind: BTreeMap<Kind, Option<i64>>,
    #[serde(default)]
    share: Option<f64>,
    kind: Option<Kind>,
    place: Option<Place>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Plain,
    Named { name: String },
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Place {
    Here,
    There { miles: u32 },
}

#[test]
fn every_kind_of_value_is_read() {
    let whole = json!({
        "name": "n", "counts": [1, 2], "by_kind": {"plain": -3}, "share": 1, "kind": {"named": {"name": "x"}},
        "place": {"miles": 7, "kind": "there"},
    });
    let wanted = Asked {
        name: "n".to_owned(),
        counts: vec![1, 2],
        by_kind: [(Kind::Plain, Some(-3))].into(),
        share: Some(1.0),
        kind: Some(Kind::Named { name: "x".to_owned() }),
        place: Some(Place::There { miles: 7 }),
    };
    assert_eq!(read::<Asked>(whole), Ok(wanted));
    assert_eq!(
        read::<Asked>(json!({"name": "n", "place": {"kind": "here"}})).unwrap().place,
        Some(Place::Here)
    );
    assert_eq!(
        read::<Value>(json!({"a": [1, -1, 0.5, null, true]})),
        Ok(json!({"a": [1, -1, 0.5, null, true]}))
    );
}

#[test]
fn the_field_that_cannot_be_read_is_named() {
    let path = |value: Value| read::<Asked>(value).unwrap_err().path();
    assert_eq!(path(json!({"name": 1})), "name");
    assert_eq!(path(json!({"name": "n", "counts": [1, 256]})), "counts.1");
    assert_eq!(path(json!({"name": "n", "by_kind": {"plain": "x"}})), "by_kind.plain");
    assert_eq!(path(json!({"name": "n", "kind": {"named": {"name": null}}})), "kind.named.name");
    assert_eq!(path(json!({"name": "n", "nope": 1})), "nope");
    assert_eq!(path(json!({"counts": []})), "");
    let nothing = read::<Asked>(json!({"name": "n", "kind": "none"})).unwrap_err();
    assert_eq!(nothing.to_string(), "kind: unknown variant `none`, expected `plain` or `named`");
}

#[test]
fn a_wrong_value_is_described_as_serde_does() {
    let texts = [
        ("u8", read::<u8>(json!("x")).unwrap_err()),
        ("u8", read::<u8>(json!(-1)).unwrap_err()),
        ("u8", read::<u8>(json!(1.5)).unwrap_err()),
        ("u8", read::<u8>(json!(256)).unwrap_err()),
        ("a string", read::<String>(json!(true)).unwrap_err()),
        ("a string", read::<String>(json!(null)).unwrap_err()),
        ("a string", read::<String>(json!([])).unwrap_err()),
        ("a string", read::<String>(json!({})).unwrap_err()),
    ]
    .map(|(expected, error)| error.message().strip_suffix(expected).map(str::to_owned));
    let wanted = [
        "type: string \"x\"",
        "value: integer `-1`",
        "type: floating point `1.5`",
        "value: integer `256`",
        "type: boolean `true`",
        "type: unit value",
        "type: sequence",
        "type: map",
    ];
    assert_eq!(texts, wanted.map(|found| Some(format!("invalid {found}, expected "))));
}

#[test]
fn a_tuple_has_no_further_items() {
    assert_eq!(read::<(u8, u8)>(json!([1, 2])), Ok((1, 2)));
    assert!(read::<(u8, u8)>(json!([1])).is_err() && read::<(u8, u8)>(json!([1, 2, 3])).is_err());
}

#[test]
fn a_request_gives_each_field_once() {
    let text = br#"{"a": [{"b": -1, "c": 0.5}, null, true, "x"], "b": 1}"#;
    assert_eq!(from_request(text).unwrap(), serde_json::from_slice::<Value>(text).unwrap());
    for (text, field) in [(r#"{"a": 1, "a": 1}"#, "a"), (r#"[{"b": {"x y": 1, "\u0078 y": 2}}]"#, "x y")] {
        assert_eq!(twice(&from_request(text.as_bytes()).unwrap_err()).as_deref(), Some(field));
    }
    for text in ["", "{", "{} {}", "nonsense", r#"{"a": 1e999}"#] {
        assert_eq!(twice(&from_request(text.as_bytes()).unwrap_err()), None, "{text}");
    }
}

#[test]
fn an_array_is_not_read_as_an_object() {
    for text in [r#"{"ai":["openai",true]}"#, r#"{"maintenance":["x",1]}"#, r#"{"failover":["rte_1"]}"#, "[]"]
    {
        assert!(from_text::<RouteSettings>(text).is_err(), "{text}");
    }
}
