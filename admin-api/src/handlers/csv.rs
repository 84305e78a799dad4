//! A file for spreadsheets, streamed page by page.

use crate::db::StoreError;
use crate::error::Failure;
use domain::csv::{BYTE_ORDER_MARK, push_row};
use edge::log::log;
use futures_util::stream;
use std::future::Future;
use worker::{Error, Response};

/// A file has no pages.
pub fn refuse_paging(limit: Option<u32>, cursor: Option<&str>) -> Result<(), Failure> {
    match (limit, cursor) {
        (Some(_), _) => Err(Failure::field("limit", "is not taken: the file holds everything")),
        (None, Some(_)) => Err(Failure::field("cursor", "is not taken: the file holds everything")),
        (None, None) => Ok(()),
    }
}

/// `page` gives the rows of a position and the position after them; `None` is the end. Where it
/// fails the body breaks off, so that half a file is not taken for a whole one.
pub fn respond<P, F>(
    request_id: &str,
    name: &str,
    head: &[&str],
    start: P,
    page: impl Fn(P) -> F + 'static,
) -> Result<Response, Failure>
where
    P: 'static,
    F: Future<Output = Result<(String, Option<P>), StoreError>> + 'static,
{
    let mut first = BYTE_ORDER_MARK.to_owned();
    push_row(&mut first, head.iter().copied());
    let request_id = request_id.to_owned();
    let rows = stream::try_unfold((Some(start), first, page), move |(position, mut text, page)| {
        let request_id = request_id.clone();
        async move {
            let Some(position) = position else { return Ok(None) };
            let (rows, next) = page(position).await.map_err(|error| {
                log(&request_id, "file broke off", &error.to_string());
                Error::RustError("broke off".to_owned())
            })?;
            text.push_str(&rows);
            Ok::<_, Error>(Some((text.into_bytes(), (next, String::new(), page))))
        }
    });
    let response = Response::from_stream(rows)?;
    let headers = response.headers();
    headers.set("content-type", "text/csv; charset=utf-8")?;
    headers.set("content-disposition", &format!("attachment; filename=\"{name}\""))?;
    headers.set("cache-control", "no-store")?;
    Ok(response)
}
