//! `/api/prices`

use crate::change::{Change, snapshot};
use crate::db::{Statement, prices as store};
use crate::error::Failure;
use crate::handlers::overtaken;
use crate::paging::{Cursor, check_limit, page};
use crate::publish::PriceTable;
use crate::request::{Asked, Attempt, Call};
use crate::respond::{Answer, respond, respond_after};
use contract::Page;
use contract::audit::Deed;
use contract::error::ApiError;
use contract::prices::{ModelPrice, PriceChanged, PriceQuery, SetPriceRequest};
use domain::people::grant::{Grant, SetPrices};
use domain::people::role::{Action, Subject, authorize};
use domain::problem::Invalid;

/// `GET /api/prices`
pub async fn list(call: &Call, asked: Asked<PriceQuery>) -> Answer<Page<ModelPrice>> {
    let caller = call.caller()?;
    authorize(caller, Action::ReadRoute, Subject::default())?;
    let query = asked.read(call)?;
    let limit = check_limit(query.limit)?;
    let cursor = query.cursor.as_deref().map(Cursor::decode).transpose()?;
    let after = match &cursor {
        None => "",
        Some(Cursor::Text(model, _)) => model.as_str(),
        Some(Cursor::Time(..)) => return Err(Failure::field("cursor", Invalid::Cursor)),
    };
    let items = store::list(&call.db()?, call.now, query.search.as_deref(), after, limit + 1).await?;
    respond(page(items, limit, |price| Cursor::Text(price.model.clone(), String::new())))
}

fn attempt(deed: Deed, model: &str) -> Attempt<'_> {
    Attempt { deed, id: Some(model), team: None }
}

/// `PUT /api/prices/{model}`
pub async fn set(call: &Call, asked: Asked<SetPriceRequest>) -> Answer<PriceChanged> {
    let caller = call.caller()?;
    let model = call.id().to_owned();
    let attempt = attempt(Deed::SetPrice, &model);
    let grant = call.authorize(caller, Subject::default(), attempt)?;
    let (price, source) = asked.read(call)?.validate(&model)?;
    let db = call.db()?;
    let before = store::get(&db, &model, call.now).await?;
    let after = ModelPrice { model: model.clone(), price, source, effective_at: call.now };
    let statement = store::put(&db, &grant, &after)?;
    change(call, &grant, attempt, before, Some(after), statement).await
}

/// `DELETE /api/prices/{model}`
pub async fn delete(call: &Call, _: Asked<()>) -> Answer<PriceChanged> {
    let caller = call.caller()?;
    let model = call.id().to_owned();
    let attempt = attempt(Deed::DeletePrice, &model);
    let grant = call.authorize(caller, Subject::default(), attempt)?;
    let db = call.db()?;
    let before = store::get(&db, &model, call.now).await?.ok_or(ApiError::NotFound)?;
    let statement = store::delete(&db, &grant, &model)?;
    change(call, &grant, attempt, Some(before), None, statement).await
}

/// Writes the change and publishes it to KV.
async fn change(
    call: &Call,
    grant: &Grant<SetPrices>,
    attempt: Attempt<'_>,
    before: Option<ModelPrice>,
    after: Option<ModelPrice>,
    statement: Statement,
) -> Answer<PriceChanged> {
    let propagation = Change::new(call, &call.db()?, grant)
        .write([statement])
        .deed(attempt, before.as_ref().and_then(snapshot), after.as_ref().and_then(snapshot))
        .publish(PriceTable)
        .await?
        .ok_or_else(|| overtaken(call))?;
    respond_after(propagation, None, PriceChanged { price: after, propagation })
}
