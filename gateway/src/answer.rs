//! Reports the limits in the headers of a response.

use domain::limit::ledger::{LimitUse, headers};
use domain::upstream::headers::response::{RATE_LIMIT, RATE_LIMIT_POLICY, name_beside};
use edge::clock::now;
use web_sys::Response;
use worker::Result;

/// Tells the client how much of its limits is left. The upstream's own limit headers stay, under other
/// names.
pub fn tell(response: &Response, uses: &[LimitUse]) -> Result<()> {
    let Some((policy, standing)) = headers(uses, now()) else { return Ok(()) };
    let given = response.headers();
    for (name, ours) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, standing)] {
        if let Some(theirs) = given.get(name)? {
            let beside = name_beside(name, &theirs, &ours);
            given.delete(name)?;
            given.append(beside, &theirs)?;
        }
        given.append(name, &ours)?;
    }
    Ok(())
}
