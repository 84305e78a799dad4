//! Identifiers, each a type of its own, so that one cannot be passed for another.

use serde::{Deserialize, Serialize};

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Returns the id's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.to_owned())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id_type!(
    /// A token: `tok_` and 24 base62 characters; stable over rotations.
    TokenId
);
id_type!(
    /// A route: `rte_` and 24 base62 characters; `rte_v1` and 22 for one of the earlier system.
    RouteId
);
id_type!(
    /// A team's slug, chosen at creation and never changed.
    TeamId
);
id_type!(
    /// A person's Clerk user id.
    UserId
);

id_type!(
    /// An admin API key: `key_` and 24 base62 characters; stable over rotations.
    KeyId
);

/// The team whose members run the platform. Made by migration, cannot be deleted.
pub const CORE_TEAM: &str = "core-team";

impl TeamId {
    /// Whether this is the team whose roles reach over all teams.
    pub fn is_core(&self) -> bool {
        self.as_str() == CORE_TEAM
    }

    /// A slug: 1 to 63 of `a-z`, `0-9`, `-`, beginning and ending with a letter or digit.
    pub fn is_well_formed(&self) -> bool {
        let bytes = self.0.as_bytes();
        let edge = |b: Option<&u8>| b.is_some_and(|b| *b != b'-');
        bytes.len() <= 63
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
            && edge(bytes.first())
            && edge(bytes.last())
    }
}

/// Makes an id from 18 random bytes: `prefix` and 24 base62 characters (about 142 bits).
pub fn mint(prefix: &str, random: [u8; 18]) -> String {
    format!("{prefix}{}", crate::token::base62(&random, 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_id_has_its_prefix_and_24_characters() {
        let id = mint("tok_", [7; 18]);
        assert!(id.starts_with("tok_"));
        assert_eq!(id.len(), 28);
    }

    #[test]
    fn slugs() {
        for good in ["a", "core-team", "team-9"] {
            assert!(TeamId::from(good).is_well_formed(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a b", "a/b", &"x".repeat(64)] {
            assert!(!TeamId::from(bad).is_well_formed(), "{bad}");
        }
    }
}
