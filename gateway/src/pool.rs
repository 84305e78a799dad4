//! The rests of pools' credentials, as the isolate knows them.

use crate::routes::ReadyPool;
use domain::access::Permit;
use domain::call::pool::Rests;
use domain::id::RouteId;
use domain::time::UnixMs;
use domain::upstream::target::RouteCredential;
use std::cell::RefCell;
use std::collections::HashMap;

/// Pools from which those that do not rest are forgotten.
const MANY: usize = 64;

/// Uses the rests of a pool, which the isolate's calls share. They begin anew with another seal: another pool.
pub fn rests<T>(permit: &Permit, pool: &ReadyPool, now: UnixMs, with: impl FnOnce(&mut Rests) -> T) -> T {
    type Seal = [u8; 12];
    thread_local!(static RESTS: RefCell<HashMap<RouteId, (Seal, Rests)>> = RefCell::default());
    let route = permit.origin();
    let seal = match &route.target.credential {
        RouteCredential::Sealed(sealed) => sealed.iv,
        _ => Seal::default(),
    };
    RESTS.with_borrow_mut(|known| {
        if known.len() >= MANY && !known.contains_key(&route.rule.id) {
            known.retain(|_, (_, rests)| rests.has_any(now));
        }
        let new = || (seal, Rests::new(pool.members.len(), now));
        let entry = known.entry(route.rule.id.clone()).or_insert_with(new);
        if entry.0 != seal {
            *entry = new();
        }
        with(&mut entry.1)
    })
}
