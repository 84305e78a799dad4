//! A dry run fits into an isolate (128 MB, with everything else in it), whatever calls were recorded. A file of its own:
//! the allocator counts for the whole program.

#![expect(unsafe_code, reason = "an allocator is unsafe to write; this one passes every call on unchanged")]
#![expect(clippy::unwrap_used, reason = "clippy does not see a whole file as a test")]
#![expect(clippy::print_stdout, reason = "the figures are of interest")]

use domain::access::record::TokenRecord;
use domain::dry_run::{Calls, Change, MOST_CALLS, Policy, Subject, run};
use domain::usage::segment::Recorded;
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(NOW.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Takes calls in until there is no room, as the admin API does after each block of 300, and runs a change that refuses
/// all of them. Returns how many were looked at, and the most bytes in use.
fn peak(path: impl Fn(usize) -> String) -> (u64, usize) {
    let token = |scope: &str| -> Arc<TokenRecord> {
        let record = serde_json::json!({
            "v": 2, "id": "tok_aaaaaaaaaaaaaaaaaaaaaaaa", "name": "n", "team": "ops", "scopes": [scope], "version": 1,
        });
        Arc::new(serde_json::from_value(record).unwrap())
    };
    let policy = |scope: &str| {
        Policy {
        table: Arc::new(
            domain::kv::parse_routes(
                r#"{"v":2,"version":1,"legacy_tokens":false,"routes":[{"id":"rte_1","path":"/api/x","url":"https://x.example"}]}"#,
                false,
            )
            .unwrap()
            .table,
        ),
        tokens: HashMap::from([("tok_aaaaaaaaaaaaaaaaaaaaaaaa".into(), token(scope))]),
    }
    };
    let change = Change { subject: Subject::Token, before: policy("*"), after: policy("y"), now: 0, from: 0 };
    let base = NOW.load(Relaxed);
    PEAK.store(base, Relaxed);
    let mut calls = Calls::new(MOST_CALLS);
    let mut count = 0;
    while count < MOST_CALLS && !calls.is_full_at(0) {
        for _ in 0..300 {
            count += 1;
            calls.add(&Recorded {
                id: &format!("{count:022}"),
                request_id: &format!("req_{count:026}"),
                at: i64::try_from(count).unwrap(),
                token: "tok_aaaaaaaaaaaaaaaaaaaaaaaa",
                team: "ops",
                route: "rte_1",
                method: "GET",
                path: &path(count),
                status: 200,
                outcome: "ok",
                client_ip: "203.0.113.7",
                user_agent: "n8n",
                derived: "",
                bytes_in: None,
                ai: None,
            });
        }
    }
    let unread = (count < MOST_CALLS).then_some(0);
    assert_eq!(calls.tokens(10).len(), 1);
    let report = run(calls, &change, unread);
    assert_eq!(report.refused, report.looked_at, "each call is another workflow that would break");
    (report.looked_at, PEAK.load(Relaxed) - base)
}

#[test]
fn a_dry_run_fits_into_an_isolate_even_if_each_call_has_a_path_of_its_own() {
    let few = peak(|i| format!("/api/x/{}", i % 50));
    let many = peak(|i| format!("/api/x/orders/{i:012}/items/{i:08}"));
    let long = peak(|i| format!("/api/x/{i:0500}"));
    println!("looked at, most bytes: few {few:?}, many {many:?}, long {long:?}");
    assert_eq!(few.0, 200_000);
    for (looked_at, bytes) in [few, many, long] {
        assert!(bytes < 64 << 20, "{bytes} bytes");
        assert!(looked_at >= 50_000, "{looked_at}");
    }
}
