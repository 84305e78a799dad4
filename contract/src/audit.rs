//! `/api/dashboard/audit-logs`: changes and refused attempts, with the person behind each.

use crate::{Page, endpoint};
use domain::audit::chain::{Entry, EntryHash, Head};
use domain::audit::export::Line;
use domain::id::TeamId;
use domain::people::role::Action;
use domain::time::UnixMs;
use serde::{Deserialize, Serialize};
use serde_json::Value;

endpoint!(
    /// Lists changes and refused attempts, newest first; see [`AuditQuery`].
    ListAudit, "GET", "/api/dashboard/audit-logs", Some(Action::ReadAudit), 200, AuditQuery => AuditPage
);

endpoint!(
    /// Exports the whole list as CSV, which shows by its hashes whether it was changed. `limit` and `cursor` are not
    /// accepted.
    ExportAudit, "GET", "/api/dashboard/audit-logs/export", Some(Action::ReadAudit), 200, AuditQuery => String,
    media: "text/csv"
);

macro_rules! names {
    ($(#[$meta:meta])* $enum:ident { $($name:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[expect(missing_docs, reason = "each name says it")]
        pub enum $enum {
            $(#[serde(rename = $text)] $name,)+
        }

        impl $enum {
            /// Every name, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Returns the name on the wire and in D1.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// Returns `None` for a name that this version does not know, such as one that a newer version wrote.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == text)
            }
        }
    };
}

macro_rules! deeds {
    ($(#[$meta:meta])* $enum:ident { $($name:ident ($entity:ident) = $text:literal),+ $(,)? }) => {
        names! { $(#[$meta])* $enum { $($name = $text),+ } }

        impl $enum {
            /// The kind of thing that this deed changes.
            pub const fn entity(self) -> Entity {
                match self {
                    $(Self::$name => Entity::$entity,)+
                }
            }
        }
    };
}

deeds! {
    /// One kind of change. A released name never changes: the audit log holds it for years.
    Deed {
        CreateToken (Token) = "create-token",
        UpdateToken (Token) = "update-token",
        RotateToken (Token) = "rotate-token",
        EndSecrets (Token) = "end-secrets",
        ExtendToken (Token) = "extend-token",
        DisableToken (Token) = "disable-token",
        EnableToken (Token) = "enable-token",
        RevokeToken (Token) = "revoke-token",
        CreateRoute (Route) = "create-route",
        UpdateRoute (Route) = "update-route",
        DeleteRoute (Route) = "delete-route",
        SetCredential (Route) = "set-credential",
        ClearCredential (Route) = "clear-credential",
        TestRoute (Route) = "test-route",
        CreateTeam (Team) = "create-team",
        UpdateTeam (Team) = "update-team",
        DeleteTeam (Team) = "delete-team",
        AddMember (User) = "add-member",
        SetTeamRole (User) = "set-team-role",
        RemoveMember (User) = "remove-member",
        SyncPeople (User) = "sync-people",
        DeleteUser (User) = "delete-user",
        BootstrapAdmin (User) = "bootstrap-admin",
        CreateInvitation (Invitation) = "create-invitation",
        ResendInvitation (Invitation) = "resend-invitation",
        RevokeInvitation (Invitation) = "revoke-invitation",
        AcceptInvitation (User) = "accept-invitation",
        SetPrice (Price) = "set-price",
        DeletePrice (Price) = "delete-price",
        Reconcile (Publication) = "reconcile",
        Import (Import) = "import",
        CreateKey (Key) = "create-key",
        RotateKey (Key) = "rotate-key",
        RevokeKey (Key) = "revoke-key",
        CreateChannel (Channel) = "create-channel",
        UpdateChannel (Channel) = "update-channel",
        DeleteChannel (Channel) = "delete-channel",
        TestChannel (Channel) = "test-channel",
    }
}

names! {
    /// The kind of thing that a [`Deed`] changes.
    Entity {
        Token = "token",
        Route = "route",
        Team = "team",
        User = "user",
        Invitation = "invitation",
        Price = "price",
        Publication = "publication",
        Import = "import",
        Key = "key",
        Channel = "channel",
    }
}

/// Query of the list; every field is optional. Times are unix ms or RFC 3339.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Only changes of this kind.
    pub action: Option<Deed>,
    /// Only changes to this kind of thing.
    pub entity: Option<Entity>,
    /// Only changes to the thing with this id.
    pub entity_id: Option<String>,
    /// A user id, the id of an admin API key, or `system`.
    pub actor: Option<String>,
    /// Only changes that belong to this team.
    pub team_id: Option<TeamId>,
    /// Only changes, or only refused attempts; both if absent.
    pub result: Option<AuditResult>,
    /// Start of the period, inclusive.
    pub from: Option<String>,
    /// End of the period, exclusive.
    pub to: Option<String>,
    /// 1 to 200, default 50.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 200)))]
    pub limit: Option<u32>,
    /// `next_cursor` of the previous page; absent for the first page.
    pub cursor: Option<String>,
}

/// The result of an attempt to change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AuditResult {
    /// The change was made.
    Done,
    /// The caller's role did not allow it.
    Refused,
}

impl AuditResult {
    /// Returns the name on the wire and in D1.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

/// One change, or one refused attempt. It never contains a secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditEntry {
    /// Unique id of the entry.
    pub id: String,
    /// Time of the change, unix ms.
    pub at: UnixMs,
    /// Id of the user who did it, of the admin API key by which they did it, or `system`.
    pub actor: String,
    /// Their name or e-mail address, after the name of a key; `null` if neither is known.
    pub actor_name: Option<String>,
    /// A deed, such as `create-token`, as text because an older version must be able to show a newer version's entries.
    pub action: String,
    /// Whether the change was made or refused.
    pub result: AuditResult,
    /// A kind of thing, such as `token`, as text for the same reason.
    pub entity: String,
    /// Id of the thing; `null` if the change concerns no single one.
    pub entity_id: Option<String>,
    /// The team that the thing belongs to; `null` if it belongs to none.
    pub team_id: Option<TeamId>,
    /// State before the change; `null` if there was none.
    pub before: Option<Value>,
    /// State after the change; `null` if there is none.
    pub after: Option<Value>,
    /// Address of the caller; `null` if it is not known.
    pub client_ip: Option<String>,
    /// Id of the request, as in its `X-Request-Id`.
    pub request_id: String,
    /// Number of the entry, in the order in which they were written.
    #[serde(default)]
    pub seq: u64,
    /// Hash of the entry before; `null` until this one is chained.
    #[serde(default)]
    pub previous_hash: Option<EntryHash>,
    /// Hash of this entry; `null` until it is chained, a minute later at most.
    #[serde(default)]
    pub hash: Option<EntryHash>,
}

impl AuditEntry {
    /// Returns the line of an exported file, and the actor's name.
    pub fn into_line(self) -> (Line, Option<String>) {
        let entry = Entry {
            seq: self.seq,
            id: self.id,
            at: self.at,
            actor: self.actor,
            action: self.action,
            result: self.result.as_str().to_owned(),
            entity: self.entity,
            entity_id: self.entity_id,
            team_id: self.team_id.map(|team| team.as_str().to_owned()),
            before: self.before,
            after: self.after,
            client_ip: self.client_ip,
            request_id: self.request_id,
        };
        (Line { entry, previous: self.previous_hash, hash: self.hash }, self.actor_name)
    }
}

/// One page of entries, and the newest link of their chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditPage {
    /// The entries.
    #[serde(flatten)]
    pub page: Page<AuditEntry>,
    /// The entry that was chained last. Kept elsewhere, its hash proves everything up to it; `null` if none is chained.
    #[serde(default)]
    pub head: Option<Head>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in D1 and on the wire. Only append to this list; never edit one of its lines.
    const DEEDS: &[(&str, &str)] = &[
        ("create-token", "token"),
        ("update-token", "token"),
        ("rotate-token", "token"),
        ("end-secrets", "token"),
        ("extend-token", "token"),
        ("disable-token", "token"),
        ("enable-token", "token"),
        ("revoke-token", "token"),
        ("create-route", "route"),
        ("update-route", "route"),
        ("delete-route", "route"),
        ("set-credential", "route"),
        ("clear-credential", "route"),
        ("test-route", "route"),
        ("create-team", "team"),
        ("update-team", "team"),
        ("delete-team", "team"),
        ("add-member", "user"),
        ("set-team-role", "user"),
        ("remove-member", "user"),
        ("sync-people", "user"),
        ("delete-user", "user"),
        ("bootstrap-admin", "user"),
        ("create-invitation", "invitation"),
        ("resend-invitation", "invitation"),
        ("revoke-invitation", "invitation"),
        ("accept-invitation", "user"),
        ("set-price", "price"),
        ("delete-price", "price"),
        ("reconcile", "publication"),
        ("import", "import"),
        ("create-key", "key"),
        ("rotate-key", "key"),
        ("revoke-key", "key"),
        ("create-channel", "channel"),
        ("update-channel", "channel"),
        ("delete-channel", "channel"),
        ("test-channel", "channel"),
    ];

    #[test]
    fn the_names_of_deeds_and_entities_are_pinned() {
        let found: Vec<_> = Deed::ALL.iter().map(|deed| (deed.as_str(), deed.entity().as_str())).collect();
        assert_eq!(found, DEEDS);
        for deed in Deed::ALL {
            assert_eq!(serde_json::to_value(deed).unwrap(), deed.as_str());
            assert_eq!(Deed::parse(deed.as_str()), Some(*deed));
        }
        for entity in Entity::ALL {
            assert_eq!(serde_json::to_value(entity).unwrap(), entity.as_str());
            assert!(Deed::ALL.iter().any(|deed| deed.entity() == *entity), "{entity:?}");
        }
        assert_eq!(Deed::parse("create-tokens"), None);
    }
}
