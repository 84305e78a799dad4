//! Admin API keys: what one leaves of its maker's permissions. A key has no permission of its own. Its roles are bounded
//! by those that its maker has when it is used, and some actions need a person, or a key that was given them by name.

mod secret;
#[cfg(test)]
mod tests;

pub use secret::{KeySecret, PREFIX};

use super::role::{Action, Caller, Membership, Role};
use crate::access::network;
use crate::id::{KeyId, TeamId};
use crate::time::{DAY_MS, UnixMs};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The time until a key ends, unless its maker says otherwise, in days.
pub const DEFAULT_DAYS: i64 = 90;
/// The latest end of a key, in days from now.
pub const MAX_DAYS: i64 = 365;
/// The pause before the last use of a key is written again: a busy key costs one row an hour.
pub const USE_NOTED_MS: i64 = crate::time::HOUR_MS;

/// Returns the end of a key that is made or renewed at `now`.
pub fn end(days: i64, now: UnixMs) -> UnixMs {
    now + days * DAY_MS
}

/// An action that a key has only if its maker gave it by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// Set and clear the credentials of routes.
    SetCredential,
    /// Give and take roles above DEVELOPER.
    AssignSenior,
}

impl Power {
    /// All powers.
    pub const ALL: [Self; 2] = [Self::SetCredential, Self::AssignSenior];
}

/// Whether a key may do an action at all; its roles decide then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByKey {
    /// Any key may look.
    Read,
    /// A key that is not read-only may.
    Change,
    /// A key that is not read-only may if it was given this power.
    Named(Power),
    /// Only a person may.
    Never,
}

impl Action {
    /// Returns whether a key may do this.
    pub const fn by_key(self) -> ByKey {
        match self {
            Self::ReadSelf
            | Self::ReadToken
            | Self::ReadRoute
            | Self::ReadUpstream
            | Self::ReadUsage
            | Self::ReadTeam
            | Self::ReadPeople
            | Self::ReadAudit
            | Self::ReadPublication
            | Self::ReadKey
            | Self::ReadChannel => ByKey::Read,
            Self::CreateToken
            | Self::ChangeToken
            | Self::LoosenLimits
            | Self::WriteRoute
            | Self::DeleteRoute
            | Self::TestRoute
            | Self::CreateTeam
            | Self::EditTeam
            | Self::SetScopeCap
            | Self::DeleteTeam
            | Self::AssignJunior
            | Self::Reconcile
            | Self::Import
            | Self::SetPrices
            | Self::ManageChannels => ByKey::Change,
            Self::SetCredential => ByKey::Named(Power::SetCredential),
            Self::AssignSenior => ByKey::Named(Power::AssignSenior),
            Self::CreateKey | Self::RotateKey | Self::RevokeKey => ByKey::Never,
        }
    }
}

/// The key that a call came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub id: KeyId,
    /// Whether it may only look.
    pub read_only: bool,
    /// Powers that it was given by name.
    pub may: Vec<Power>,
}

impl Key {
    /// Whether the key leaves this action to its roles.
    pub fn allows(&self, action: Action) -> bool {
        match action.by_key() {
            ByKey::Read => true,
            ByKey::Change => !self.read_only,
            ByKey::Named(power) => !self.read_only && self.may.contains(&power),
            ByKey::Never => false,
        }
    }
}

/// Why a known key is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum KeyRefusal {
    #[error("was revoked")]
    Revoked,
    #[error("has expired, or this secret of it")]
    Expired,
    #[error("may not be used from this address")]
    Address,
}

/// A key as it is stored, with the secret that came with the call.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its id, and what it leaves of its maker's permissions besides its roles.
    pub key: Key,
    /// Its roles, as its maker wanted them.
    pub roles: Vec<Membership>,
    /// Networks that it may be used from; empty admits every address.
    pub ip_allow: Vec<IpNet>,
    /// The end of the key, unix ms.
    pub expires_at: UnixMs,
    /// The end of the secret, unix ms.
    pub secret_ends_at: Option<UnixMs>,
    /// When it was revoked, unix ms.
    pub revoked_at: Option<UnixMs>,
}

impl Stored {
    /// Returns the caller that the key makes of its maker, whose roles are those of now.
    pub fn admit(self, maker: &Caller, client_ip: Option<IpAddr>, now: UnixMs) -> Result<Caller, KeyRefusal> {
        if self.revoked_at.is_some() {
            return Err(KeyRefusal::Revoked);
        }
        if self.expires_at <= now || self.secret_ends_at.is_some_and(|end| end <= now) {
            return Err(KeyRefusal::Expired);
        }
        if !network::admits(&self.ip_allow, client_ip) {
            return Err(KeyRefusal::Address);
        }
        let memberships = maker.bounded(&self.roles);
        Ok(Caller { user: maker.user.clone(), memberships, key: Some(self.key) })
    }
}

impl Caller {
    /// Returns the highest role in a team whose every permission the caller has there. Some permissions over all teams
    /// come with roles in the core team.
    pub fn reach(&self, team: &TeamId) -> Option<Role> {
        let by_core = match self.core_role() {
            Some(Role::Admin) => Some(Role::Admin),
            Some(_) => Some(Role::Viewer),
            None => None,
        };
        self.role_in(team).max(by_core)
    }

    /// Returns the roles, each lowered to what the caller has in that team, without those of teams where that is none.
    pub fn bounded(&self, roles: &[Membership]) -> Vec<Membership> {
        let bound = |wanted: &Membership| {
            let role = wanted.role.min(self.reach(&wanted.team)?);
            Some(Membership { team: wanted.team.clone(), role })
        };
        roles.iter().filter_map(bound).collect()
    }

    /// Returns the caller's name in the audit log: the key that acts for a person, or the person.
    pub fn signature(&self) -> &str {
        self.key.as_ref().map_or(self.user.as_str(), |key| key.id.as_str())
    }
}
