//! Permissions of a signed-in person: the matrix as data, and one function that decides.

use super::key::Key;
use crate::id::{TeamId, UserId};
use serde::{Deserialize, Serialize};

/// A role in one team, ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "each role may do what the one before may, and more: see `Action::rule`")]
pub enum Role {
    Viewer,
    Developer,
    Manager,
    Admin,
}

impl Role {
    /// All roles, ascending.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Developer, Self::Manager, Self::Admin];

    /// The name on the wire and in D1.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "VIEWER",
            Self::Developer => "DEVELOPER",
            Self::Manager => "MANAGER",
            Self::Admin => "ADMIN",
        }
    }
}

/// A person's role in a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The team.
    pub team: TeamId,
    /// The person's role in it.
    pub role: Role,
}

/// The person calling, by a session that was checked or by a key that they made. D1 gives their roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The person.
    pub user: UserId,
    /// Their teams, with the roles that this call has in them.
    pub memberships: Vec<Membership>,
    /// The key that came with the call; `None` for a session.
    pub key: Option<Key>,
}

impl Caller {
    /// Makes the caller of a session.
    pub fn new(user: UserId, memberships: Vec<Membership>) -> Self {
        Self { user, memberships, key: None }
    }

    /// Returns the caller's role in a team; `None` if they are not in it.
    pub fn role_in(&self, team: &TeamId) -> Option<Role> {
        self.memberships.iter().find(|m| m.team == *team).map(|m| m.role)
    }

    /// Returns the caller's role in `core-team`.
    pub fn core_role(&self) -> Option<Role> {
        self.memberships.iter().find(|m| m.team.is_core()).map(|m| m.role)
    }

    /// Whether the caller is ADMIN of `core-team`.
    pub fn is_platform_admin(&self) -> bool {
        self.core_role() == Some(Role::Admin)
    }

    /// Teams in which the caller may do `action`; `None` means all of them.
    pub fn teams_for(&self, action: Action) -> Option<Vec<&TeamId>> {
        let rule = action.rule();
        if rule.core.is_some_and(|least| self.core_role() >= Some(least)) {
            return None;
        }
        let may = |m: &&Membership| rule.team.is_some_and(|least| m.role >= least);
        Some(self.memberships.iter().filter(may).map(|m| &m.team).collect())
    }

    /// Teams whose tokens and usage the caller may see; `None` means all of them.
    pub fn visible_teams(&self) -> Option<Vec<&TeamId>> {
        self.core_role().is_none().then(|| self.memberships.iter().map(|m| &m.team).collect())
    }
}

/// Everything that is subject to a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The caller's own account: any session will do.
    ReadSelf,
    /// See tokens, never their secrets.
    ReadToken,
    /// Make a token.
    CreateToken,
    /// Edit, rotate, disable, enable, revoke.
    ChangeToken,
    /// Allow a token more than it was allowed, or than its team's limits say.
    LoosenLimits,
    /// Path, name, tags.
    ReadRoute,
    /// Upstream URL and credential state.
    ReadUpstream,
    /// Make a route, or change all but its credential.
    WriteRoute,
    /// Set or clear a route's credential.
    SetCredential,
    /// Delete a route.
    DeleteRoute,
    /// One call to the upstream with its credential.
    TestRoute,
    /// See usage and cost.
    ReadUsage,
    /// The team itself and who is in it.
    ReadTeam,
    /// Make a team.
    CreateTeam,
    /// Name, description, colour, icon.
    EditTeam,
    /// The bounds of all its tokens: scopes and limits.
    SetScopeCap,
    /// Delete a team.
    DeleteTeam,
    /// Add, change, remove or invite a person whose current and new roles are DEVELOPER or VIEWER.
    AssignJunior,
    /// Add, change, remove or invite a person with any role; [`Action::assignment`] tells which of the two a change is.
    AssignSenior,
    /// See the people of all teams.
    ReadPeople,
    /// See the audit log.
    ReadAudit,
    /// The outbox, and what KV holds against what D1 says.
    ReadPublication,
    /// Repairing what KV holds.
    Reconcile,
    /// Take over the data of the earlier system.
    Import,
    /// The prices of AI models, for everyone.
    SetPrices,
    /// Make an admin API key with one's own roles, or lower ones.
    CreateKey,
    /// See an admin API key, never its secret.
    ReadKey,
    /// Give a key another secret, which acts for the key's maker.
    RotateKey,
    /// End a key.
    RevokeKey,
    /// See channels for alerts, and what was delivered to them: of a team, or of the system.
    ReadChannel,
    /// Make, change, delete and try out channels.
    ManageChannels,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 31] = [
        Self::ReadSelf,
        Self::ReadToken,
        Self::CreateToken,
        Self::ChangeToken,
        Self::LoosenLimits,
        Self::ReadRoute,
        Self::ReadUpstream,
        Self::WriteRoute,
        Self::SetCredential,
        Self::DeleteRoute,
        Self::TestRoute,
        Self::ReadUsage,
        Self::ReadTeam,
        Self::CreateTeam,
        Self::EditTeam,
        Self::SetScopeCap,
        Self::DeleteTeam,
        Self::AssignJunior,
        Self::AssignSenior,
        Self::ReadPeople,
        Self::ReadAudit,
        Self::ReadPublication,
        Self::Reconcile,
        Self::Import,
        Self::SetPrices,
        Self::CreateKey,
        Self::ReadKey,
        Self::RotateKey,
        Self::RevokeKey,
        Self::ReadChannel,
        Self::ManageChannels,
    ];

    /// Returns the action that changes a person's role in a team from `present` to `new`; `None` is not being in it.
    pub fn assignment(present: Option<Role>, new: Option<Role>) -> Self {
        if present.max(new) > Some(Role::Developer) { Self::AssignSenior } else { Self::AssignJunior }
    }

    /// Returns the row of the matrix.
    pub const fn rule(self) -> Rule {
        match self {
            Self::ReadSelf => Rule { anyone: true, ..Rule::NOBODY },
            Self::ReadToken | Self::ReadUsage | Self::ReadTeam => Rule::team(Role::Viewer, Role::Viewer),
            Self::CreateToken => Rule::team(Role::Admin, Role::Developer),
            Self::ChangeToken => {
                Rule { own: Some(Role::Developer), ..Rule::team(Role::Admin, Role::Manager) }
            }
            Self::EditTeam | Self::AssignSenior => Rule::team(Role::Admin, Role::Admin),
            Self::LoosenLimits | Self::AssignJunior => Rule::team(Role::Admin, Role::Manager),
            Self::ReadChannel | Self::ManageChannels => Rule::team(Role::Manager, Role::Admin),
            Self::ReadAudit => Rule::team(Role::Manager, Role::Manager),
            Self::ReadRoute => Rule { any_team: true, ..Rule::core(Role::Viewer) },
            Self::CreateKey => Rule { any_team: true, ..Rule::NOBODY },
            Self::ReadKey | Self::RevokeKey => Rule { maker: true, ..Rule::core(Role::Manager) },
            Self::RotateKey => Rule { maker: true, ..Rule::NOBODY },
            Self::ReadUpstream | Self::ReadPublication => Rule::core(Role::Viewer),
            Self::WriteRoute | Self::TestRoute => Rule::core(Role::Developer),
            Self::SetCredential => Rule::core(Role::Manager),
            Self::DeleteRoute
            | Self::CreateTeam
            | Self::SetScopeCap
            | Self::DeleteTeam
            | Self::ReadPeople
            | Self::Reconcile
            | Self::Import
            | Self::SetPrices => Rule::core(Role::Admin),
        }
    }

    /// Callers who get 403 when refused. Everyone else gets 404.
    pub const fn visible_by(self) -> Rule {
        self.visibility().rule()
    }

    /// Whether any caller can get 403.
    pub fn may_be_forbidden(self) -> bool {
        self.rule() != self.visible_by()
    }

    /// The subject that must be visible before the action may be refused openly.
    const fn visibility(self) -> Self {
        match self {
            Self::ReadSelf => Self::ReadSelf,
            Self::ReadToken | Self::CreateToken | Self::ChangeToken | Self::LoosenLimits => Self::ReadToken,
            Self::ReadUsage => Self::ReadUsage,
            Self::ReadKey | Self::RotateKey | Self::RevokeKey => Self::ReadKey,
            Self::ReadTeam
            | Self::EditTeam
            | Self::SetScopeCap
            | Self::DeleteTeam
            | Self::AssignJunior
            | Self::AssignSenior
            | Self::ReadChannel
            | Self::ManageChannels => Self::ReadTeam,
            // These are known to exist, so anybody in a team is told that their role is too low.
            Self::ReadRoute
            | Self::ReadUpstream
            | Self::WriteRoute
            | Self::SetCredential
            | Self::DeleteRoute
            | Self::TestRoute
            | Self::CreateTeam
            | Self::ReadPeople
            | Self::ReadAudit
            | Self::ReadPublication
            | Self::Reconcile
            | Self::Import
            | Self::SetPrices
            | Self::CreateKey => Self::ReadRoute,
        }
    }
}

/// The least role that an action asks for; any column that is met is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// In `core-team`.
    pub core: Option<Role>,
    /// In the subject's team.
    pub team: Option<Role>,
    /// In the subject's team, if the caller made the subject.
    pub own: Option<Role>,
    /// Whether having made the subject is enough.
    pub maker: bool,
    /// Whether membership of any team is enough.
    pub any_team: bool,
    /// Whether a session is enough.
    pub anyone: bool,
}

impl Rule {
    const NOBODY: Self =
        Self { core: None, team: None, own: None, maker: false, any_team: false, anyone: false };

    const fn core(role: Role) -> Self {
        Self { core: Some(role), ..Self::NOBODY }
    }

    const fn team(core: Role, team: Role) -> Self {
        Self { core: Some(core), team: Some(team), ..Self::NOBODY }
    }

    fn is_met(self, caller: &Caller, subject: &Subject) -> bool {
        let at_least =
            |held: Option<Role>, wanted: Option<Role>| wanted.is_some_and(|w| held.is_some_and(|h| h >= w));
        let in_team = subject.team.and_then(|team| caller.role_in(team));
        let is_own = subject.created_by == Some(&caller.user);
        self.anyone
            || at_least(caller.core_role(), self.core)
            || at_least(in_team, self.team)
            || (is_own && (self.maker || at_least(in_team, self.own)))
            || (self.any_team && !caller.memberships.is_empty())
    }
}

/// The subject of an action.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// The team that it belongs to, if any.
    pub team: Option<&'a TeamId>,
    /// The person who made it, if anybody is known to have.
    pub created_by: Option<&'a UserId>,
}

impl<'a> Subject<'a> {
    /// Makes the subject that is a team, or belongs to one as a whole.
    pub fn team(team: &'a TeamId) -> Self {
        Self { team: Some(team), created_by: None }
    }

    /// Makes a subject that belongs to a team and was made by a person.
    pub fn owned(team: &'a TeamId, created_by: Option<&'a UserId>) -> Self {
        Self { team: Some(team), created_by }
    }

    /// Makes a subject that belongs to no team and was made by a person.
    pub fn made_by(person: &'a UserId) -> Self {
        Self { team: None, created_by: Some(person) }
    }
}

/// Why an action is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The caller may not even know that it exists: 404.
    #[error("not visible to the caller")]
    Invisible,
    /// 403.
    #[error("the caller's role does not allow it")]
    Forbidden,
}

/// Decides an action. Default deny. Functions that write require a [`Grant`](super::grant::Grant), which rests on this.
pub fn authorize(caller: &Caller, action: Action, subject: Subject) -> Result<(), Refusal> {
    let is_open = caller.key.as_ref().is_none_or(|key| key.allows(action));
    if is_open && action.rule().is_met(caller, &subject) {
        return Ok(());
    }
    if action.visibility().rule().is_met(caller, &subject) {
        Err(Refusal::Forbidden)
    } else {
        Err(Refusal::Invisible)
    }
}

#[cfg(test)]
mod tests;
