//! Cursors and query strings.

use crate::error::Failure;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contract::{DEFAULT_LIMIT, MAX_LIMIT, Page};
use domain::json::{self, ReadError};
use domain::problem::Invalid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::form_urlencoded;

/// The end of a page: the sort value and the id of its last row. Opaque to clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cursor {
    Time(i64, String),
    Text(String, String),
}

impl Cursor {
    pub fn encode(&self) -> Option<String> {
        serde_json::to_vec(self).ok().map(|json| URL_SAFE_NO_PAD.encode(json))
    }

    pub fn decode(text: &str) -> Result<Self, Failure> {
        let refused = || Failure::field("cursor", Invalid::Cursor);
        // The longest is a name of 255 characters, an id, and their JSON.
        if text.len() > 4_096 {
            return Err(refused());
        }
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
        let cursor = json::from_bytes(&json).map_err(|_| refused())?;
        // D1 takes numbers through JavaScript, which is exact up to 2^53.
        match cursor {
            Self::Time(at, _) if at.unsigned_abs() > 1 << 53 => Err(refused()),
            cursor => Ok(cursor),
        }
    }
}

/// Returns the number of items requested.
pub fn check_limit(limit: Option<u32>) -> Result<u32, Failure> {
    match limit {
        None => Ok(DEFAULT_LIMIT),
        Some(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
        Some(_) => Err(Failure::field("limit", Invalid::Range { least: 1, most: MAX_LIMIT.into() })),
    }
}

/// Makes a page of at most `limit` items. `items` may have one more, which shows that there is a next page.
pub fn page<T>(mut items: Vec<T>, limit: u32, cursor_of: impl Fn(&T) -> Cursor) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = if has_more { items.last().and_then(|last| cursor_of(last).encode()) } else { None };
    Page { items, next_cursor, total: None }
}

/// Reads a query string. Unknown and repeated parameters are refused by name.
pub fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, Failure> {
    let mut map = Map::new();
    for (name, text) in form_urlencoded::parse(query.as_bytes()) {
        let value = match text.parse::<u32>() {
            // Ids and search texts may look like numbers.
            Ok(number) if matches!(&*name, "limit" | "drawn") => Value::from(number),
            _ => Value::String(text.into_owned()),
        };
        if map.insert(name.clone().into_owned(), value).is_some() {
            return Err(Failure::field(name, Invalid::Twice));
        }
    }
    read(Value::Object(map))
}

/// Reads a request: 422 with the field if it is not as `T` is.
pub fn read<T: DeserializeOwned>(request: Value) -> Result<T, Failure> {
    json::read(request).map_err(|error| {
        let (field, problem) = field_of(&error);
        Failure::field(field, problem)
    })
}

/// Returns the field that serde could not read, and why. Repeats nothing that was sent: it may be a secret in the
/// wrong place.
fn field_of(error: &ReadError) -> (String, Invalid) {
    let text = error.message();
    let path = &*error.path();
    let quoted = |prefix: &str| text.strip_prefix(prefix).and_then(|rest| rest.split('`').next());
    let below = |name: &str| match path {
        "" => name.to_owned(),
        // The unknown key itself may already be the end of the path.
        path if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        path => format!("{path}.{name}"),
    };
    if let Some(name) = quoted("unknown field `") {
        let name: String = name.chars().take(64).collect();
        return (below(&name), Invalid::UnknownField);
    }
    if let Some(name) = quoted("missing field `") {
        return (below(name), Invalid::Missing);
    }
    let field = if path.is_empty() { "body" } else { path };
    let wanted = text.rsplit_once(", expected ").map(|(_, wanted)| wanted);
    (field.to_owned(), wanted.map_or(Invalid::NotAcceptable, in_json_words))
}

/// Turns what serde wanted, in Rust's names, into JSON's words.
fn in_json_words(wanted: &str) -> Invalid {
    match wanted {
        "u8" | "u16" | "u32" | "u64" => Invalid::Natural,
        "i64" => Invalid::WholeNumber,
        "f64" => Invalid::Number,
        "a string" => Invalid::Text,
        "a boolean" => Invalid::Boolean,
        "a sequence" => Invalid::List,
        "a map" | "an object" => Invalid::Object,
        _ if ["struct ", "internally tagged enum "].iter().any(|rust| wanted.starts_with(rust)) => {
            Invalid::Object
        }
        _ => match (wanted.strip_prefix("one of "), wanted.split_once(" or ")) {
            (Some(choices), _) => Invalid::OneOf { choices: choices.to_owned() },
            (None, Some((first, second))) => {
                Invalid::Either { first: first.to_owned(), second: second.to_owned() }
            }
            (None, None) => Invalid::Wanted { wanted: wanted.to_owned() },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::tokens::{CreateTokenRequest, TokenQuery};
    use contract::usage::UsageQuery;

    fn refused<T>(result: Result<T, Failure>) -> String {
        match result {
            Err(Failure::Fields(_, fields)) => fields.into_iter().map(|f| f.field).collect(),
            _ => panic!("was not refused by field"),
        }
    }

    #[test]
    fn a_wrong_type_is_described_in_json_terms_without_rust_names() {
        let told = |body: &str| match crate::request::parse_body::<contract::routes::CreateRouteRequest>(
            body.as_bytes(),
        ) {
            Err(Failure::Fields(_, fields)) => {
                fields.into_iter().map(|f| f.problem.message).collect::<String>()
            }
            _ => panic!("{body} was not refused by field"),
        };
        for (body, wanted) in [
            ("null", "must be an object"),
            ("5", "must be an object"),
            (
                r#"{"name":"r","path":"/a","backend_url":"https://a.example","credential":5}"#,
                "must be an object",
            ),
            (r#"{"name":"r","path":"/a","backend_url":"https://a.example","tags":5}"#, "must be a list"),
            (
                r#"{"name":"r","path":"/a","backend_url":"https://a.example","settings":"x"}"#,
                "must be an object",
            ),
        ] {
            assert_eq!(told(body), wanted, "{body}");
        }
    }

    #[test]
    fn a_wrong_choice_is_told_with_the_choices() {
        let told = |query: &str| match parse_query::<TokenQuery>(query) {
            Err(Failure::Fields(_, fields)) => fields.into_iter().map(|f| f.problem).collect::<Vec<_>>(),
            _ => panic!("{query} was not refused by field"),
        };
        let [sort] = &told("sort=up")[..] else { panic!("one field") };
        assert_eq!(sort.code, "one-of");
        assert_eq!(sort.message, format!("must be one of {}", sort.values["choices"]));
        assert!(sort.values["choices"].contains("`-created_at`"), "{}", sort.message);
        assert_eq!(in_json_words("`check` or `apply`").to_string(), "must be `check` or `apply`");
        assert_eq!(in_json_words("`only`").to_string(), "must be `only`");
    }

    #[test]
    fn cursors_survive_a_round_trip() {
        for cursor in [Cursor::Time(5, "tok_1".into()), Cursor::Text("näme".into(), "tok_1".into())] {
            assert_eq!(Cursor::decode(&cursor.encode().unwrap()).unwrap(), cursor);
        }
    }

    #[test]
    fn a_bad_cursor_is_refused_by_field() {
        for bad in ["x", "!!", "e30", &"A".repeat(5_000)] {
            assert_eq!(refused(Cursor::decode(bad)), "cursor");
        }
    }

    #[test]
    fn a_wrong_number_is_described_in_terms_of_the_api() {
        let message = "must be a whole number, 0 or more";
        for limit in ["x", "-1", "1.5"] {
            match parse_query::<TokenQuery>(&format!("limit={limit}")) {
                Err(Failure::Fields(_, fields)) => {
                    let told: Vec<_> =
                        fields.iter().map(|f| (f.field.as_str(), f.problem.message.as_str())).collect();
                    assert_eq!(told, [("limit", message)]);
                }
                _ => panic!("was not refused by field"),
            }
        }
    }

    #[test]
    fn limits_are_1_to_200() {
        assert_eq!(check_limit(None).unwrap(), 50);
        assert_eq!(check_limit(Some(200)).unwrap(), 200);
        assert_eq!(refused(check_limit(Some(0))), "limit");
        assert_eq!(refused(check_limit(Some(201))), "limit");
    }

    #[test]
    fn a_page_has_a_cursor_only_if_there_are_more_items() {
        let cursor = |n: &i64| Cursor::Time(*n, "x".into());
        assert_eq!(page(vec![1, 2], 2, cursor).next_cursor, None);
        let first = page(vec![1, 2, 3], 2, cursor);
        assert_eq!(first.items, [1, 2]);
        assert_eq!(Cursor::decode(&first.next_cursor.unwrap()).unwrap(), Cursor::Time(2, "x".into()));
        assert_eq!(page(Vec::<i64>::new(), 2, cursor).next_cursor, None);
    }

    #[test]
    fn queries_are_read_and_bad_parameters_are_named() {
        let query: TokenQuery = parse_query("limit=7&search=12&sort=-name&state=expired&cursor=ab").unwrap();
        assert_eq!((query.limit, query.search.as_deref()), (Some(7), Some("12")));
        assert_eq!(query.team_id, None);
        assert_eq!(refused(parse_query::<TokenQuery>("sort=")), "sort");
        assert_eq!(refused(parse_query::<TokenQuery>("limit=-1")), "limit");
        assert_eq!(refused(parse_query::<TokenQuery>("limit=x")), "limit");
        assert_eq!(refused(parse_query::<TokenQuery>("nonsense=1")), "nonsense");
        assert_eq!(refused(parse_query::<TokenQuery>("sort=up")), "sort");
        assert_eq!(refused(parse_query::<TokenQuery>("search=a&search=b")), "search");
        assert_eq!(parse_query::<UsageQuery>("from=12").unwrap().from.as_deref(), Some("12"));
    }

    #[test]
    fn the_field_of_a_body_is_named_and_its_value_is_not_repeated() {
        let fault = |text: &str| field_of(&json::from_text::<CreateTokenRequest>(text).unwrap_err());
        assert_eq!(fault(r#"{"name":1}"#), ("name".to_owned(), Invalid::Text));
        assert_eq!(fault(r#"{"name":"n"}"#).0, "team_id");
        assert_eq!(fault(r#"{"nope":1}"#).0, "nope");
        assert_eq!(fault(r#"{"scopes":["a",5]}"#).0, "scopes.1");
        assert_eq!(fault("5").0, "body");
        assert!(!fault(r#"{"expires_days":"hunter2"}"#).1.to_string().contains("hunter2"));
    }
}
