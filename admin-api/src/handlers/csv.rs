//! CSV files for spreadsheets, streamed page by page.

use crate::db::StoreError;
use crate::error::Failure;
use domain::csv::{BYTE_ORDER_MARK, push_row};
use domain::problem::Invalid;
use domain::time::{UnixMs, to_rfc3339};
use edge::log::{Source, log};
use futures_util::stream;
use std::future::Future;
use std::rc::Rc;
use worker::{Error, Response};

/// Refuses `limit` and `cursor`, because a file has no pages.
pub fn refuse_paging(limit: Option<u32>, cursor: Option<&str>) -> Result<(), Failure> {
    match (limit, cursor) {
        (Some(_), _) => Err(Failure::field("limit", Invalid::WholeFile)),
        (None, Some(_)) => Err(Failure::field("cursor", Invalid::WholeFile)),
        (None, None) => Ok(()),
    }
}

/// Makes the last line of an incomplete file. The rows of that millisecond may occur twice, with the same
/// ids.
pub fn resume(parameter: &str, at: UnixMs) -> String {
    let time = to_rfc3339(at + 1).unwrap_or_default();
    format!("not all: ask again with {parameter}={time} for what is older")
}

/// Streams a file. `page` returns the rows of a position and the next position; `None` means the end. If it fails,
/// the body breaks off, so that half a file is not taken for a complete one. If it may not go on after so many pages,
/// because an invocation has 1,000 queries, the last line is `resume`, which says how to continue.
pub fn respond<P, F>(
    request_id: &str,
    name: &str,
    head: &[&str],
    may_go_on: impl Fn(u32) -> bool + 'static,
    start: P,
    page: impl Fn(P) -> F + 'static,
    resume: impl Fn(&P) -> String + 'static,
) -> Result<Response, Failure>
where
    P: 'static,
    F: Future<Output = Result<(String, Option<P>), StoreError>> + 'static,
{
    let mut first = BYTE_ORDER_MARK.to_owned();
    push_row(&mut first, head.iter().copied());
    let request_id = request_id.to_owned();
    let (resume, may_go_on) = (Rc::new(resume), Rc::new(may_go_on));
    let rows = stream::try_unfold((Some(start), 0, first, page), move |(position, pages, mut text, page)| {
        let (request_id, resume) = (request_id.clone(), Rc::clone(&resume));
        let may_go_on = Rc::clone(&may_go_on);
        async move {
            let Some(position) = position else { return Ok(None) };
            if !may_go_on(pages) {
                push_row(&mut text, [resume(&position).as_str()]);
                return Ok(Some((text.into_bytes(), (None, pages, String::new(), page))));
            }
            let (rows, next) = page(position).await.map_err(|error| {
                log(Source::Request(&request_id), "file broke off", &error.to_string());
                Error::RustError("broke off".to_owned())
            })?;
            text.push_str(&rows);
            Ok::<_, Error>(Some((text.into_bytes(), (next, pages + 1, String::new(), page))))
        }
    });
    let response = Response::from_stream(rows)?;
    let headers = response.headers();
    headers.set("content-type", "text/csv; charset=utf-8")?;
    headers.set("content-disposition", &format!("attachment; filename=\"{name}\""))?;
    headers.set("cache-control", "no-store")?;
    Ok(response)
}
