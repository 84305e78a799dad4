//! Pools: several credentials of one route, used one after the other.

use super::{Credential, CredentialKind};
use crate::access::scope::is_label;
use crate::error::FieldError;
use crate::problem::Invalid;
use crate::secret::Reveal;
use crate::upstream::address::AddressRules;
use serde::{Deserialize, Serialize};

/// The fewest credentials of a pool.
pub const LEAST: usize = 2;
/// The most credentials of a pool.
pub const MOST: usize = 8;

/// Several credentials for one upstream. A call that one of them is refused for (401, 429) goes out again with the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Pool {
    /// Whether calls take the credentials in turn; otherwise the first serves until it is refused.
    #[serde(default)]
    pub in_turn: bool,
    /// The credentials, 2 to 8.
    #[cfg_attr(feature = "schema", schemars(length(min = 2, max = 8)))]
    #[serde(serialize_with = "Reveal::reveal")]
    pub members: Vec<Member>,
}

/// One credential of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Member {
    /// 1 to 64 letters, digits, `-`, `_` and `.`; no secret. It names the credential in usage.
    pub name: String,
    /// The credential, of any kind but a pool. If absent, the one that the stored pool has by this name stays.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "Reveal::reveal")]
    pub credential: Option<Credential>,
}

crate::revealed!(Pool, Member);

impl Pool {
    /// Reports bad values by field below `prefix`.
    pub fn check(&self, prefix: &str, rules: AddressRules, errors: &mut Vec<FieldError>) {
        let mut refuse =
            |field: String, why| errors.push(FieldError::new(format!("{prefix}members{field}"), why));
        if !(LEAST..=MOST).contains(&self.members.len()) {
            refuse(String::new(), Invalid::Range { least: LEAST as u64, most: MOST as u64 });
        }
        for (i, Member { name, credential }) in self.members.iter().enumerate() {
            if !is_label(name) {
                refuse(format!(".{i}.name"), Invalid::Name { most: 64 });
            } else if self.members.iter().take(i).any(|other| other.name == *name) {
                refuse(format!(".{i}.name"), Invalid::Twice);
            }
            match credential.as_ref().map(|credential| credential.validate(rules)) {
                None => refuse(format!(".{i}.credential"), Invalid::Missing),
                Some(Err(why)) => refuse(format!(".{i}.credential.{}", why.field), why.reason.clone()),
                Some(Ok(())) => {}
            }
        }
    }

    /// Whether a credential is absent, so that the stored one stays.
    pub fn keeps_any(&self) -> bool {
        self.members.iter().any(|member| member.credential.is_none())
    }

    /// Fills in the absent credentials from the stored pool, by their names.
    pub fn fill(&mut self, stored: &Self) {
        for member in self.members.iter_mut().filter(|member| member.credential.is_none()) {
            let same = stored.members.iter().find(|other| other.name == member.name);
            member.credential = same.and_then(|other| other.credential.clone());
        }
    }

    /// Returns each credential with its name.
    pub fn each(&self) -> impl Iterator<Item = (&str, &Credential)> {
        self.members.iter().filter_map(|member| Some((member.name.as_str(), member.credential.as_ref()?)))
    }

    /// Returns the pool as it is shown.
    pub fn shown(&self) -> ShownPool {
        let members = self
            .each()
            .map(|(name, credential)| ShownMember { name: name.to_owned(), kind: credential.kind() });
        ShownPool { in_turn: self.in_turn, members: members.collect() }
    }
}

/// A pool without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShownPool {
    /// Whether calls take the credentials in turn.
    pub in_turn: bool,
    /// Names and kinds in their order.
    pub members: Vec<ShownMember>,
}

/// A credential of a pool without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShownMember {
    /// The name.
    pub name: String,
    /// The form in which it is sent.
    pub kind: CredentialKind,
}
