//! The closed list of reasons why a field is refused, and of notes on an import or a health check.
//!
//! Each row gives a code that clients may rely on, an English sentence, and the values of its placeholders. The
//! UI translates by code; its tests compare its catalogue with [`ALL`].

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A reason or a note on the wire: its code, and its sentence with the values that are in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// Kebab-case; empty in responses of an older version.
    #[serde(default)]
    pub code: String,
    /// The sentence in English.
    pub message: String,
    /// The values in the sentence by name. `why` is itself a code.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
}

/// A value in a sentence. It is sent in the form that the sentence shows; only a problem within a problem is
/// sent differently.
trait Value: fmt::Display {
    fn sent(&self) -> String {
        self.to_string()
    }
}

impl Value for i64 {}
impl Value for u32 {}
impl Value for u64 {}
impl Value for usize {}
impl Value for String {}

impl Value for InvalidScope {
    fn sent(&self) -> String {
        self.code().to_owned()
    }
}

/// Makes a separate `match` for each use of a row, so that a Worker holds only the sentences of the enums that
/// it shows.
macro_rules! problems {
    (@say $f:ident $text:literal) => { $f.write_str($text) };
    (@say $f:ident $text:literal $($value:ident)+) => { write!($f, $text, $($value = $value),+) };
    ($($(#[$meta:meta])* $name:ident { $($variant:ident $({ $($value:ident: $type:ty),+ })? => $code:literal, $text:literal;)+ })+) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug, PartialEq, Eq)]
            #[expect(missing_docs, reason = "the sentences say it")]
            pub enum $name { $($variant $({ $($value: $type),+ })?,)+ }

            impl $name {
                /// Returns the code.
                pub const fn code(&self) -> &'static str {
                    match self { $(Self::$variant { .. } => $code,)+ }
                }

                fn values(&self) -> BTreeMap<String, String> {
                    match self {
                        $(Self::$variant $({ $($value),+ })? => crate::collect::map([
                            $($((stringify!($value).to_owned(), Value::sent($value))),+)?
                        ]),)+
                    }
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    match self { $(Self::$variant $({ $($value),+ })? => problems!(@say f $text $($($value)+)?),)+ }
                }
            }

            impl std::error::Error for $name {}

            impl From<$name> for Problem {
                fn from(problem: $name) -> Self {
                    Self { code: problem.code().to_owned(), message: problem.to_string(), values: problem.values() }
                }
            }
        )+

        /// Code and English text of every row.
        pub const ALL: &[(&str, &str)] = &[$($(($code, $text),)+)+];
    };
}

problems! {
    /// Why a field of a request is refused.
    Invalid {
        Unknown => "unknown", "is not known";
        EntryHash => "entry-hash", "must be 64 hex digits, with the entry's number and a colon before them or without";
        UnknownField => "unknown-field", "is not a field of this request";
        Missing => "missing", "is missing";
        NotByModel => "not-by-model", "cannot be combined with models, whose sums are kept by team";
        NotAcceptable => "not-acceptable", "is not acceptable";
        WholeNumber => "whole-number", "must be a whole number";
        Natural => "natural", "must be a whole number, 0 or more";
        Number => "number", "must be a number";
        Text => "string", "must be a string";
        Boolean => "boolean", "must be a boolean";
        List => "list", "must be a list";
        Object => "object", "must be an object";
        Either { first: String, second: String } => "either", "must be {first} or {second}";
        OneOf { choices: String } => "one-of", "must be one of {choices}";
        Wanted { wanted: String } => "wanted", "must be {wanted}";
        NotJson { line: usize, column: usize } => "not-json", "is not JSON: line {line}, column {column}";
        BrokeOff => "broke-off", "broke off";
        Twice => "twice", "is given twice";
        Range { least: u64, most: u64 } => "range", "must be {least} to {most}";
        OutOfRange => "out-of-range", "must be more than 0, at most a million dollars or 500 MB, and have at most six decimal places";
        RangeOrNever { least: u64, most: u64 } => "range-or-never", "must be {least} to {most}, or null for never";
        Length { least: usize, most: usize } => "length", "must have {least} to {most} characters";
        Characters { least: usize, most: usize } => "characters", "must be {least} to {most} characters";
        MaxLength { most: usize } => "max-length", "must have at most {most} characters";
        Bytes { least: usize, most: usize } => "bytes", "must have {least} to {most} bytes";
        ControlCharacters => "control-characters", "must not hold control characters";
        LineBreaks => "line-breaks", "must not hold control characters such as line breaks";
        Printable => "printable", "must be printable ASCII, since it goes into a header";
        PlainText { least: usize, most: usize } => "plain-text", "must have {least} to {most} characters and no control characters";
        Word { most: usize } => "word", "must have 1 to {most} characters that this field may hold";
        UserName { most: usize } => "user-name", "must have 1 to {most} characters and no colon";
        Name { most: usize } => "name", "must be 1 to {most} letters, digits, '-', '_' or '.'";
        ModelName { most: usize } => "model-name", "must be 1 to {most} letters, digits, '-', '_', '.', ':', '/' or '@'";
        VisibleAscii { most: usize } => "visible-ascii", "must be 1 to {most} visible ASCII characters";
        Slug => "slug", "must be 1 to 63 of a-z, 0-9 and inner hyphens";
        Icon { most: usize } => "icon", "must be 1 to {most} letters, digits and hyphens";
        Color => "color", "must be a colour such as #0066cc";
        Email => "email", "must be an e-mail address";
        Address => "ip-address", "must be an IPv4 or IPv6 address";
        Origin => "origin", "must be an origin such as https://app.example, or *";
        SigningSecret => "signing-secret", "must be whsec_ and 24 to 64 bytes in base64";
        BotToken => "bot-token", "must be a bot's token such as 123456:ABC-DEF";
        Chat => "chat", "must be the id of a chat, or @ and the name of a public channel";
        Thresholds { most: usize } => "thresholds", "must be at most {most} whole numbers from 1 to 100";
        NoEvents => "no-events", "must name at least one event";
        NoTeamsEvents => "no-teams-events", "must not name events of which no team hears";
        TokenUrl => "token-url", "must be an https address of a public host, without a query";
        KeyFile => "key-file", "must be the JSON file of a Google service account's key";
        KeyFileAddress => "key-file-address", "holds a token_uri that is no https address of a public host";
        RoleArn => "role-arn", "must be the ARN of a role, such as arn:aws:iam::123456789012:role/reader";
        Time => "time", "must be unix milliseconds or an RFC 3339 time";
        Zone => "time-zone", "must be a time zone such as Asia/Taipei";
        Method => "method-letters", "must be 1 to 16 letters, such as GET";
        Slash => "slash", "must begin with '/'";
        CallPath => "call-path", "must begin with '/', such as /api/openai/models";
        TestPath => "test-path", "must be empty, or begin with '/' and hold no '..'";
        TeamId => "team-id", "is not a team's id";
        NoTeam => "no-team", "is not a team";
        NoRoute => "no-route", "is not a route";
        SameRoute => "same-route", "must be another route";
        NoScopes => "no-scopes", "must name at least one scope; an empty list would grant nothing";
        AboveOwnRole { role: String } => "above-own-role", "is above your own role in this team, {role}";
        NoTeams => "no-teams", "must name at least one team";
        Teams { least: usize, most: usize } => "teams", "must name {least} to {most} teams";
        TooManyScopes { most: usize } => "too-many-scopes", "must name at most {most} scopes";
        TooManyNetworks { most: usize } => "too-many-networks", "must name at most {most} networks";
        TooManyTags { most: usize } => "too-many-tags", "must name at most {most} tags";
        TooManyMethods { most: usize } => "too-many-methods", "must name at most {most} methods";
        TooManyOrigins { most: usize } => "too-many-origins", "must name at most {most} origins";
        TooManyModels { most: usize } => "too-many-models", "must name at most {most} models";
        TooManyTeams { most: usize } => "too-many-teams", "must name at most {most} teams";
        Headers { most: usize } => "headers", "must be 1 to {most} headers";
        HeaderTwice => "header-twice", "must name each header once";
        HeaderName => "header-name", "is not a header that may be set";
        OpenAiOnly => "openai-only", "is for OpenAI's API only";
        EndTooLate { days: i64 } => "end-too-late", "would end more than {days} days from now";
        OutsideCap => "outside-cap", "is outside the team's scope cap";
        Clerk { said: String } => "clerk", "Clerk refuses it: {said}";
        Cursor => "cursor", "is not a cursor of this list";
        ComparisonCursor => "comparison-cursor", "is not a cursor of this comparison";
        OtherSort => "other-sort", "belongs to another sort order";
        WholeFile => "whole-file", "is not accepted: an export always holds everything";
        LastDays { days: i64 } => "last-days", "must be within the last {days} days";
        Statuses => "statuses", "must be a status such as 404, or a class such as 4xx";
        NotBefore => "not-before", "must be before to";
        TooLong { days: i64 } => "too-long", "must be at most {days} days before to";
        IntervalTooShort { most: i64 } => "interval-too-short", "is too short for the period, which may have at most {most} intervals";
        IntervalGone => "interval-gone", "5m is available for the last 2 days only";
        HoursGone => "hours-gone", "is over 400 days ago: only whole UTC days are kept from then";
        EventData => "event-data", "does not match its type";
        TooManyTokens { most: usize } => "too-many-tokens", "holds more than {most} tokens: send it in parts";
        TooManyRows { most: usize } => "too-many-rows", "has more than {most} rows: send it in parts";
    }

    /// Why a request that is well formed does not fit what is stored.
    Clash {
        IdTaken => "id-taken", "is, or was, another team's";
        CoreTeam => "core-team", "core-team runs the platform and cannot be deleted";
        TeamInUse => "team-in-use", "has members, or tokens that are not revoked";
        TokenRevoked => "token-revoked", "a revoked token cannot be changed";
        TooManySecrets => "too-many-secrets", "the token has 10 working secrets; wait until one has ended, or rotate with a grace of 0";
        KeyRevoked => "key-revoked", "a revoked key cannot be changed";
        SeveralChannels { name: String } => "several-channels", "several channels are named {name}; give each a name of its own";
        SeveralTokens { name: String } => "several-tokens", "several tokens are named {name}; give each a name of its own";
        TooManyKeys { most: u32 } => "too-many-keys", "you have {most} keys that work; revoke one first";
        KeyUsed => "key-used", "was used for another request";
        NoClerkKey => "no-clerk-key", "is not set: Clerk cannot be asked";
        AlreadyMember { team: String, role: String } => "already-member", "already a member of {team} ({role})";
        LastAdmin => "last-admin", "a team's last ADMIN cannot go; make somebody else ADMIN first";
        Held => "publication-held", "publication is held: a restore is under way";
        InvitationAccepted => "invitation-accepted", "it is accepted already";
        InvitationRevoked => "invitation-revoked", "it is revoked already";
        TeamJustDeleted => "team-just-deleted", "a team was deleted just now: try again";
        PathTaken => "path-taken", "another route has this path";
        SecondUpstream { routes: String } => "second-upstream", "is the second upstream of {routes}";
        TooManyChannels { most: u32 } => "too-many-channels", "has {most} channels already";
        NotCallable => "not-callable", "is not an address that may be called";
        StoredUnreadable => "stored-unreadable", "holds a value that this version cannot read";
    }

    /// Why a text is no scope.
    #[derive(Copy)]
    InvalidScope {
        Length => "scope-length", "a scope is 1 to 300 characters";
        Name => "scope-name", "a service or tag is made of letters, digits, '-', '_' and '.'";
        Method => "scope-method", "a method is 1 to 16 letters, such as GET; several are separated by commas";
        Path => "scope-path", "a path begins with '/', has no dot segments, and '*' stands only at its end, after a '/'";
    }

    /// Why a text cannot be a route's path.
    #[derive(Copy)]
    InvalidRoutePath {
        Start => "path-start", "a path begins with '/' and has at least one segment";
        Length => "path-length", "a path has at most 200 characters";
        Segment => "path-segment", "a path has no slash at its end and no empty or dot segments";
        Character => "path-character", "a path is made of letters, digits and '-', '_', '.', '~'";
        Reserved => "path-reserved", "this path is the gateway's own";
    }

    /// Why an address cannot be an upstream.
    #[derive(Copy)]
    InvalidUpstream {
        Syntax => "url-syntax", "is not a URL";
        Scheme => "url-scheme", "must begin with https://";
        UserInfo => "url-user", "must not hold a user name or password; use a credential";
        Query => "url-query", "must not have a query or fragment";
        PrivateHost => "url-private-host", "must not name a private, loopback or link-local host";
        Length => "url-length", "must have at most 2000 characters";
    }

    /// Why no URL was built. The response is 404 `Route Not Found`: nothing is there.
    #[derive(Copy)]
    BuildError {
        Climbs => "path-climbs", "the path would climb above the upstream's base path";
        LeavesOrigin => "path-leaves-origin", "the path would leave the upstream's origin";
    }

    /// Why a text is no method.
    #[derive(Copy)]
    InvalidMethod {
        Letters => "method", "a method is 1 to 16 letters, such as GET";
    }

    /// Why a text is no network that can be allowed.
    #[derive(Copy)]
    InvalidNetwork {
        Syntax => "network", "must be an address or a network such as 10.0.0.0/8";
        Mapped => "network-mapped", "covers IPv4-mapped IPv6 addresses, which does not admit IPv4; name the IPv4 network, or 0.0.0.0/0";
    }

    /// Why a known token may not make a call.
    #[derive(Copy, Hash, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(rename_all = "kebab-case")]
    Denial {
        Revoked => "denial-revoked", "the token was revoked";
        Disabled => "denial-disabled", "the token is disabled";
        Expired => "denial-expired", "the token has expired";
        SecretEnded => "denial-secret-ended", "this secret was replaced and its grace period is over";
        IpNotAllowed => "denial-ip-not-allowed", "the client's address is not in the token's allow-list";
        NoRoute => "denial-no-route", "no route matches the path";
        Method => "denial-method", "the route does not take this method";
        Scope => "denial-scope", "none of the token's scopes covers the call";
    }

    /// A note on a part of an import.
    ImportNote {
        NotATable => "import-not-a-table", "is neither a list of objects nor CSV";
        UnknownKey => "import-unknown-key", "is no key of the earlier system";
        OnlyInTable => "import-only-in-table", "was in the table and not in KV, so it did not work: disabled";
        RouteOnlyInTable => "import-route-only-in-table", "was in the table but not in KV, so it did not work; its credential is unknown";
        NoHash => "import-no-hash", "has no token_hash";
        EntryNotJson => "import-entry-not-json", "its entry is not JSON";
        OwnEntry => "import-own-entry", "is an entry of this system, not of the earlier one";
        BadHash => "import-bad-hash", "its hash is not 64 lower-case hex digits";
        NoName => "import-no-name", "has no name";
        BadTime { field: String } => "import-bad-time", "{field} cannot be read";
        ScopeLeftOut { scope: String, why: InvalidScope } => "import-scope-left-out", "scope {scope} left out: {why}";
        NoScopes => "import-no-scopes", "has no scopes, so it grants nothing";
        NoTeam { team: String } => "import-no-team", "names no team: goes to {team}";
        NotActive => "import-not-active", "was not active: disabled";
        NoId => "import-no-id", "has neither id nor name";
        Renamed { before: String, after: String } => "import-renamed", "{before} becomes {after}";
        NamedByToken => "import-named-by-token", "named by a token";
        RoutesNotJson => "import-routes-not-json", "the table is not JSON";
        RouteNotTaken => "import-route-not-taken", "its address or credential type cannot be taken";
        CredentialUnreadable => "import-credential-unreadable", "its credential cannot be read: disabled";
        SecretMissing { secret: String } => "import-secret-missing", "the dump lacks the secret {secret}: disabled until its credential is set";
        SecretNotSendable => "import-secret-not-sendable", "its secret cannot be sent in a header: disabled";
        BadRows { rows: u32 } => "import-bad-rows", "{rows} rows lack a hash, a time or a status";
        TeamDeleted => "import-team-deleted", "its team was deleted here";
        Calls { calls: usize } => "import-calls", "{calls} calls";
        CallsTaken { taken: usize, left: usize } => "import-calls-taken", "{taken} taken, {left} of unknown tokens left out";
        CallsWaiting { left: usize } => "import-calls-waiting", "{left} of tokens that are not here yet";
    }

    /// A note on a check of the health page.
    HealthNote {
        Pending { changes: u32, seconds: i64 } => "health-pending", "{changes} pending for {seconds} s";
        Held { until: String } => "health-held", "held until {until}";
        HeldOpen => "health-held-open", "held until somebody ends it";
        Silent { seconds: i64 } => "health-silent", "nothing stored for {seconds} s";
        Behind { seconds: i64 } => "health-behind", "{seconds} s behind";
        Gone => "health-gone", "cannot be reached";
        NotFolded { minutes: i64 } => "health-not-folded", "not summed up for {minutes} min";
        NearlyFull { percent: u64 } => "health-nearly-full", "{percent}% full";
        Holds { megabytes: u64 } => "health-holds", "{megabytes} MB";
        Drift { entries: u32 } => "health-drift", "{entries} entries";
        NotCompared { hours: i64 } => "health-not-compared", "not compared for {hours} h";
        ComparisonFailed => "health-comparison-failed", "the last comparison failed";
        KeyGone { credentials: u32 } => "health-key-gone", "{credentials} under a key that is gone";
        KeyOlder { credentials: u32 } => "health-key-older", "{credentials} under an older key";
        Chained { head: String } => "health-chained", "chained up to {head}";
        NotChained { minutes: i64 } => "health-not-chained", "not chained for {minutes} min";
        CanaryOff => "health-canary-off", "switched off";
        CanaryNone => "health-canary-none", "not measured yet";
        CanaryOld { minutes: i64 } => "health-canary-old", "not measured for {minutes} min";
        CanarySaw { new_token: String, revoked: String, usage: String } => "health-canary-saw", "a new token worked after {new_token} ms, a revoked one was refused after {revoked} ms, a call was in usage after {usage} ms";
        CanaryNoFeed => "health-canary-no-feed", "the change feed is switched off";
        CanaryNotPublished => "health-canary-not-published", "a change was not published";
        CanaryAway => "health-canary-away", "the gateway does not respond";
        CanaryOlder => "health-canary-older", "the gateway is of an older version";
        CanaryHeld => "health-canary-held", "not measured during a restore";
        DeriveKey => "health-derive-key", "DERIVE_KEY cannot be read: no derived token can be made or used";
        HeadGone { seq: u64 } => "health-head-gone", "entry {seq}, chained last, is gone or changed";
    }
    /// The first sign, in the order of the chain, that an exported audit log is not as it was written.
    AuditFinding {
        NotAnExport { column: String } => "audit-not-an-export", "no export of the audit log: the column {column} is missing";
        Unreadable { line: u64 } => "audit-unreadable", "line {line} is no entry";
        BrokeOff => "audit-broke-off", "the file breaks off: its last lines, with the head, are missing";
        Changed { seq: u64, id: String, line: u64 } => "audit-changed", "entry {seq} ({id}, line {line}) was changed";
        Removed { seq: u64 } => "audit-removed", "entry {seq} was removed";
        RemovedMany { first: u64, last: u64 } => "audit-removed-many", "entries {first} to {last} were removed";
        RemovedBefore { seq: u64, id: String, line: u64 } => "audit-removed-before", "an entry before {seq} ({id}, line {line}) was removed, and later ones have new numbers";
        Inserted { seq: u64, id: String, line: u64 } => "audit-inserted", "entry {seq} ({id}, line {line}) was inserted";
        Swapped { seq: u64, id: String, other: u64, other_id: String } => "audit-swapped", "entries {seq} ({id}) and {other} ({other_id}) have changed places";
        FalseStart { seq: u64 } => "audit-false-start", "the line start is false: entry {seq} with that hash cannot be before the oldest entry";
        EndCut { last: u64, head: u64 } => "audit-end-cut", "the end was cut: the newest entry is {last}, and the head is entry {head}";
        Rewritten { seq: u64, id: String } => "audit-rewritten", "entry {seq} ({id}) has another hash than the head: the log was chained again";
        HeadMissing => "audit-head-missing", "no entry has the hash of the head: the end was cut, or the log was chained again";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_kebab_case_and_neither_a_code_nor_a_sentence_is_in_the_table_twice() {
        let is_kebab = |code: &str| {
            code.split('-').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
        };
        let (mut codes, mut texts) = (BTreeSet::new(), BTreeSet::new());
        for (code, text) in ALL {
            assert!(is_kebab(code) && codes.insert(code), "{code}");
            assert!(!text.is_empty() && texts.insert(text), "{code}: {text}");
        }
    }

    #[test]
    fn a_problem_carries_its_code_sentence_and_values() {
        let sent = |problem: Problem| serde_json::to_string(&problem).unwrap();
        assert_eq!(
            sent(Invalid::Range { least: 1, most: 9 }.into()),
            r#"{"code":"range","message":"must be 1 to 9","values":{"least":"1","most":"9"}}"#
        );
        assert_eq!(sent(Invalid::Missing.into()), r#"{"code":"missing","message":"is missing"}"#);
    }

    #[test]
    fn a_problem_within_a_problem_is_said_in_the_sentence_and_sent_as_its_code() {
        let note = ImportNote::ScopeLeftOut { scope: "\"a b\"".to_owned(), why: InvalidScope::Length };
        let problem = Problem::from(note);
        assert_eq!(problem.message, "scope \"a b\" left out: a scope is 1 to 300 characters");
        assert_eq!(problem.values["why"], "scope-length");
    }

    #[test]
    fn a_response_of_an_older_version_is_read_without_code() {
        let problem: Problem = serde_json::from_str(r#"{"message":"is missing"}"#).unwrap();
        assert_eq!((problem.code.as_str(), problem.message.as_str()), ("", "is missing"));
    }
}
