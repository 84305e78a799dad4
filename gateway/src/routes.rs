//! The route table as an isolate holds it, with the credentials opened for it.

use domain::credential::{Credential, CredentialEdit};
use domain::route::{Route, RouteTable};
use domain::time::UnixMs;
use domain::upstream::headers::search::Guarded;
use domain::upstream::target::RouteCredential;
use edge::clock::now;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// The compiled route table and the credentials opened for it.
#[derive(Debug)]
pub struct Routes {
    /// The text in KV that the table was compiled from.
    pub text: String,
    pub table: RouteTable,
    pub opened: RefCell<Opened>,
}

/// A credential that is open.
#[derive(Debug)]
pub struct Ready {
    pub edit: CredentialEdit,
    /// Its secrets, for which each response is searched.
    pub guarded: Guarded,
    /// The credentials of a pool. The fields before are then those of its first, which no call uses.
    pub pool: Option<Box<ReadyPool>>,
}

/// The credentials of a pool.
#[derive(Debug)]
pub struct ReadyPool {
    pub in_turn: bool,
    /// By their names.
    pub members: Vec<(Rc<str>, Rc<Ready>)>,
}

impl Ready {
    /// Makes a credential ready for calls.
    pub fn new(credential: &Credential) -> Self {
        let member = |(name, one): (&str, &Credential)| (Rc::from(name), Rc::new(Self::new(one)));
        let pool = match credential {
            Credential::Pool(pool) => Some(Box::new(ReadyPool {
                in_turn: pool.in_turn,
                members: pool.each().map(member).collect(),
            })),
            _ => None,
        };
        Self { edit: credential.edit(), guarded: Guarded::new(credential.secrets()), pool }
    }
}

/// Opened credentials by their entry in the table: not by id, which a second entry, pointed elsewhere,
/// could have too. They live and die with their table, so the entries' places in memory are theirs.
#[derive(Debug, Default)]
pub struct Opened(HashMap<*const Route, (Rc<Ready>, UnixMs)>);

impl Opened {
    /// Returns the route's opened credential. A sealed one lasts as long as its table. A v1 secret is kept
    /// elsewhere in KV and may change without the table, so it is read again after `max_age_ms`.
    pub fn get(&self, route: &Arc<Route>, max_age_ms: i64, now: UnixMs) -> Option<Rc<Ready>> {
        let (ready, opened_at) = self.0.get(&Arc::as_ptr(route))?;
        let lasts =
            matches!(route.target.credential, RouteCredential::Sealed(_)) || now - opened_at < max_age_ms;
        lasts.then(|| Rc::clone(ready))
    }

    /// Keeps a credential that has just been opened.
    pub fn keep(&mut self, route: &Arc<Route>, ready: &Rc<Ready>) {
        self.0.insert(Arc::as_ptr(route), (Rc::clone(ready), now()));
    }
}
