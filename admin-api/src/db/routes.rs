//! Routes and their sealed credentials.

use super::{
    Db, Statement, StoreError, column_or_note, each_row_of, json_column, params, refuse_unreadable, rows_of,
    sql, to_json,
};
use contract::routes::{CredentialView, NewRoute, RouteView, Tag, UpstreamView};
use domain::access::path::RoutePath;
use domain::credential::CredentialKind;
use domain::credential::seal::SealedCredential;
use domain::id::RouteId;
use domain::json;
use domain::people::grant::{DeleteRoute, Grant, SetCredential, WriteRoute};

use domain::time::UnixMs;
use domain::upstream::settings::RouteSettings;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct RouteRow {
    id: RouteId,
    name: String,
    path: RoutePath,
    backend_url: String,
    description: Option<String>,
    tags: String,
    methods: String,
    enabled: u8,
    timeout_ms: Option<u32>,
    cors_origins: String,
    forward_cookies: u8,
    settings: String,
    created_at: UnixMs,
    updated_at: UnixMs,
    version: u64,
    credential_kind: Option<String>,
    credential_origin: Option<String>,
    credential_updated_at: Option<UnixMs>,
    credential_pool: Option<String>,
}

impl RouteRow {
    fn credential(&self, unreadable: &mut Vec<String>) -> Option<CredentialView> {
        let name = self.credential_kind.as_deref()?;
        let kind: Option<CredentialKind> = json::read(name.into()).ok();
        let is_pool = kind == Some(CredentialKind::Pool);
        let pool =
            self.credential_pool.as_deref().filter(|_| is_pool).and_then(|text| json::from_text(text).ok());
        if kind.is_none() || is_pool && pool.is_none() {
            unreadable.push("credential".to_owned());
        }
        Some(CredentialView {
            kind: kind?,
            origin: self.credential_origin.clone()?,
            updated_at: self.credential_updated_at?,
            pool,
        })
    }
}

/// A route with all of its fields. Callers who may not see the upstream get [`Stored::public`].
#[derive(Clone, Debug)]
pub struct Stored {
    pub view: RouteView,
    pub upstream: UpstreamView,
}

impl Stored {
    pub fn public(self) -> RouteView {
        self.view
    }

    pub fn full(self) -> RouteView {
        RouteView { upstream: Some(self.upstream), ..self.view }
    }
}

impl From<RouteRow> for Stored {
    /// Notes methods or settings that cannot be read. [`update`] then refuses to write them back as
    /// none, which would allow all methods or open a closed route.
    fn from(row: RouteRow) -> Self {
        let mut unreadable = vec![];
        let credential = row.credential(&mut unreadable);
        let settings: RouteSettings = column_or_note(&row.settings, "settings", &mut unreadable);
        let maintenance = settings.maintenance.clone();
        Self {
            upstream: UpstreamView {
                backend_url: row.backend_url,
                timeout_ms: row.timeout_ms,
                cors_origins: json_column(&row.cors_origins),
                forward_cookies: row.forward_cookies == 1,
                settings,
                credential,
            },
            view: RouteView {
                id: row.id,
                name: row.name,
                path: row.path,
                description: row.description,
                tags: json_column(&row.tags),
                methods: column_or_note(&row.methods, "methods", &mut unreadable),
                unreadable,
                enabled: row.enabled == 1,
                maintenance,
                upstream: None,
                created_at: row.created_at,
                updated_at: row.updated_at,
                version: row.version,
            },
        }
    }
}

pub async fn get(db: &Db, id: &str) -> Result<Option<Stored>, StoreError> {
    let row: Option<RouteRow> = db.first(db.statement(sql!("route_get"), params![id])?).await?;
    Ok(row.map(Stored::from))
}

/// Finds the route at a path.
pub async fn id_of(db: &Db, path: &str) -> Result<Option<RouteId>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        id: RouteId,
    }
    let row: Option<Row> = db.first(db.statement(sql!("route_find_by_path"), params![path])?).await?;
    Ok(row.map(|row| row.id))
}

/// Lists the routes after `after`, in the order of their paths.
pub async fn list(
    db: &Db,
    search: Option<&str>,
    tag: Option<&str>,
    after: &str,
    limit: u32,
) -> Result<Vec<Stored>, StoreError> {
    let rows: Vec<RouteRow> =
        db.rows(db.statement(sql!("routes_list"), params![search, tag, after, limit])?).await?;
    Ok(rows.into_iter().map(Stored::from).collect())
}

/// Counts the routes on all pages of a list.
pub async fn count(db: &Db, search: Option<&str>, tag: Option<&str>) -> Result<u64, StoreError> {
    db.count(db.statement(sql!("routes_count"), params![search, tag])?).await
}

pub fn insert(
    db: &Db,
    grant: &Grant<WriteRoute>,
    id: &RouteId,
    route: &NewRoute,
    lends: Option<Lends>,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    db.statement(
        sql!("route_insert"),
        params![
            id.as_str(),
            &route.name,
            route.path.as_str(),
            route.upstream.as_str(),
            route.description.as_ref(),
            &to_json(&route.tags)?,
            &to_json(&route.methods)?,
            route.enabled,
            route.timeout_ms,
            &to_json(&route.cors_origins)?,
            route.forward_cookies,
            &to_json(&route.settings)?,
            grant.actor().as_str(),
            now,
            lends.map(|lends| lends.second.as_str()),
            lends.is_some_and(|lends| lends.credential),
        ],
    )
}

/// The second upstream of a route that is written, and whether it may have a credential.
#[derive(Clone, Copy, Debug)]
pub struct Lends<'a> {
    pub second: &'a RouteId,
    pub credential: bool,
}

/// Writes the route's fields if it still has the same version and its second upstream still exists.
pub fn update(
    db: &Db,
    _: &Grant<WriteRoute>,
    route: &Stored,
    lends: Option<Lends>,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    let (view, upstream) = (&route.view, &route.upstream);
    refuse_unreadable(&view.unreadable)?;
    db.statement(
        sql!("route_update"),
        params![
            view.id.as_str(),
            &view.name,
            &upstream.backend_url,
            view.description.as_ref(),
            &to_json(&view.tags)?,
            &to_json(&view.methods)?,
            view.enabled,
            upstream.timeout_ms,
            &to_json(&upstream.cors_origins)?,
            upstream.forward_cookies,
            &to_json(&upstream.settings)?,
            now,
            view.version,
            lends.map(|lends| lends.second.as_str()),
            lends.is_some_and(|lends| lends.credential),
        ],
    )
}

/// Increments the route's version for a change of its credential, if the route is still at `version`.
pub fn touch(
    db: &Db,
    _: &Grant<SetCredential>,
    id: &RouteId,
    version: u64,
    now: UnixMs,
) -> Result<Statement, StoreError> {
    db.statement(sql!("route_touch"), params![id.as_str(), now, version])
}

/// Lists the paths of routes that fail over to this one.
pub async fn failing_over_to(db: &Db, id: &RouteId) -> Result<Vec<RoutePath>, StoreError> {
    #[derive(Deserialize)]
    struct Row {
        path: RoutePath,
    }
    let rows: Vec<Row> = db.rows(db.statement(sql!("routes_failing_over"), params![id.as_str()])?).await?;
    Ok(rows.into_iter().map(|row| row.path).collect())
}

/// Deletes the route; if the caller made a `version` a condition, only at that version.
pub fn delete(
    db: &Db,
    _: &Grant<DeleteRoute>,
    id: &RouteId,
    version: Option<u64>,
) -> Result<Statement, StoreError> {
    db.statement(sql!("route_delete"), params![id.as_str(), version])
}

/// Increments the published table's version if the statement before it changed a route.
pub fn bump_table(db: &Db, now: UnixMs) -> Result<Statement, StoreError> {
    db.statement(sql!("routes_version_bump"), params![now])
}

/// Stores a credential, if the statement before it changed something.
pub fn put_credential(
    db: &Db,
    grant: &Grant<SetCredential>,
    route: &RouteId,
    credential: &CredentialView,
    sealed: &SealedCredential,
    sealed_under: &str,
) -> Result<Statement, StoreError> {
    let pool = credential.pool.as_ref().map(to_json).transpose()?;
    db.statement(
        sql!("credential_put"),
        params![
            route.as_str(),
            credential.kind.as_str(),
            &credential.origin,
            &sealed.to_string(),
            sealed_under,
            grant.actor().as_str(),
            credential.updated_at,
            pool.as_deref(),
        ],
    )
}

/// Deletes a credential, if the statement before it changed something.
pub fn delete_credential(
    db: &Db,
    _: &Grant<SetCredential>,
    route: &RouteId,
) -> Result<Statement, StoreError> {
    db.statement(sql!("credential_delete"), params![route.as_str()])
}

#[derive(Debug, Deserialize)]
pub struct TableHead {
    pub version: u64,
    pub legacy_tokens: u8,
}

/// A route's published row.
#[derive(Debug, Deserialize)]
pub struct PublishedRow {
    pub id: RouteId,
    pub path: RoutePath,
    pub backend_url: String,
    pub tags: String,
    pub methods: String,
    pub timeout_ms: Option<u32>,
    pub cors_origins: String,
    pub forward_cookies: u8,
    pub settings: String,
    pub sealed: Option<String>,
}

/// Reads version and routes in one transaction, so that they belong together. A route that cannot be read is a
/// separate error.
pub async fn published(
    db: &Db,
    now: UnixMs,
) -> Result<(TableHead, Vec<Result<PublishedRow, StoreError>>), StoreError> {
    let results = db
        .batch(vec![
            db.statement(sql!("routes_version"), params![now])?,
            db.statement(sql!("routes_published"), &[])?,
        ])
        .await?;
    let mut results = results.iter();
    let head = results.next().map(rows_of).transpose()?.and_then(|rows| rows.into_iter().next());
    let rows = results.next().map(each_row_of).transpose()?.unwrap_or_default();
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    let head = head.ok_or_else(|| StoreError::Value("settings lack routes-version".to_owned()))?;
    Ok((head, rows))
}

/// Reads one route, enabled or not.
pub async fn published_one(db: &Db, id: &str) -> Result<Option<PublishedRow>, StoreError> {
    db.first(db.statement(sql!("route_published"), params![id])?).await
}

pub async fn table_version(db: &Db, now: UnixMs) -> Result<Option<u64>, StoreError> {
    let head: Option<TableHead> = db.first(db.statement(sql!("routes_version"), params![now])?).await?;
    Ok(head.map(|head| head.version))
}

/// Lists every tag with the number of routes that carry it.
pub async fn tags(db: &Db) -> Result<Vec<Tag>, StoreError> {
    db.rows(db.statement(sql!("routes_tags"), &[])?).await
}

/// Returns whether the earlier system's data has been imported.
pub async fn is_v1_imported(db: &Db) -> Result<bool, StoreError> {
    Ok(super::settings::get(db, super::settings::V1_IMPORTED).await?.is_some())
}

/// Returns the time at which the table last got a new version.
pub async fn table_changed_at(db: &Db) -> Result<Option<UnixMs>, StoreError> {
    Ok(super::settings::get(db, super::settings::ROUTES_VERSION).await?.map(|setting| setting.updated_at))
}
