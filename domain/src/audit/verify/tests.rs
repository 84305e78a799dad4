//! Each kind of tampering with an exported log is named, with the entry.

use super::*;
use crate::audit::export::{COLUMNS, push_end};
use crate::audit::tests::entry;
use crate::csv::{BYTE_ORDER_MARK, push_row};
use serde_json::json;

/// A log of `count` entries, chained.
fn log(count: u64) -> Vec<Line> {
    chained((1..=count).map(entry), EntryHash::GENESIS)
}

fn chained(entries: impl IntoIterator<Item = Entry>, mut previous: EntryHash) -> Vec<Line> {
    let mut lines = vec![];
    for entry in entries {
        let hash = entry.hash_after(previous);
        lines.push(Line { entry, previous: Some(previous), hash: Some(hash) });
        previous = hash;
    }
    lines
}

fn head_of(log: &[Line]) -> Head {
    log.last().map_or_else(Head::start, |line| line.entry.head(line.hash.unwrap()))
}

/// The file, newest first as the API writes it.
fn file(log: &[Line], head: &Head, start: Option<&Head>) -> String {
    let mut text = BYTE_ORDER_MARK.to_owned();
    push_row(&mut text, COLUMNS);
    for line in log.iter().rev() {
        line.push(&mut text, "Ada, \"Admin\"");
    }
    push_end(&mut text, head, start);
    text
}

fn verified(text: &str, published: impl Into<Option<Published>>) -> Report {
    let mut verifier = Verifier::default();
    // Pieces of an odd size cut lines and characters.
    text.as_bytes().chunks(997).for_each(|piece| verifier.push(piece));
    verifier.finish(published.into())
}

/// Checks the log of `original` after somebody has had their way with it.
fn found(original: &[Line], tamper: impl FnOnce(&mut Vec<Line>)) -> Option<AuditFinding> {
    let mut log = original.to_vec();
    tamper(&mut log);
    verified(&file(&log, &head_of(original), Some(&Head::start())), None).finding
}

fn renumber(log: &mut [Line]) {
    for (line, seq) in log.iter_mut().zip(1..) {
        line.entry.seq = seq;
    }
}

fn id(seq: u64) -> String {
    format!("aud_{seq}")
}

/// The line in a file of ten entries.
fn line(seq: u64) -> u64 {
    2 + (10 - seq)
}

fn published(head: &Head) -> Published {
    Published { seq: Some(head.seq), hash: head.hash }
}

#[test]
fn an_untouched_log_is_as_it_was_written() {
    let log = log(10);
    let report = verified(&file(&log, &head_of(&log), Some(&Head::start())), published(&head_of(&log)));
    let wanted = Report {
        entries: 10,
        unchained: 0,
        is_whole: true,
        newest: Some(head_of(&log)),
        is_head_found: true,
        finding: None,
    };
    assert_eq!(report, wanted);
}

#[test]
fn a_changed_entry_is_named() {
    let log = log(10);
    let changes: [fn(&mut Entry); 12] = [
        |entry| entry.id.push('x'),
        |entry| entry.at += 1,
        |entry| entry.actor = "user_other".to_owned(),
        |entry| entry.action = "create-token".to_owned(),
        |entry| entry.result = "refused".to_owned(),
        |entry| entry.entity = "route".to_owned(),
        |entry| entry.entity_id = None,
        |entry| entry.team_id = Some("other".to_owned()),
        |entry| entry.before = None,
        |entry| entry.after = Some(json!({ "name": "=1" })),
        |entry| entry.client_ip = Some("10.0.0.1".to_owned()),
        |entry| entry.request_id.clear(),
    ];
    for change in changes {
        let finding = found(&log, |log| change(&mut log[4].entry));
        assert!(matches!(&finding, Some(AuditFinding::Changed { seq: 5, .. })), "{finding:?}");
    }
    let wanted = Some(AuditFinding::Changed { seq: 5, id: id(5), line: line(5) });
    assert_eq!(found(&log, |log| log[4].entry.at += 1), wanted);
    assert_eq!(found(&log, |log| log[4].hash = None), wanted, "its hash is removed");
    assert_eq!(found(&log, |log| log[4].previous = None), wanted, "its hash before is removed");
    let first = found(&log, |log| (log[7].entry.at, log[4].entry.at) = (0, 0));
    assert_eq!(first, wanted, "the first of several");
}

#[test]
fn a_changed_entry_with_a_new_hash_is_named() {
    let log = log(10);
    let finding = found(&log, |log| {
        log[4].entry.actor = "user_other".to_owned();
        log[4].hash = Some(log[4].entry.hash_after(log[4].previous.unwrap()));
    });
    assert_eq!(finding, Some(AuditFinding::Changed { seq: 5, id: id(5), line: line(5) }));
}

#[test]
fn a_removed_entry_is_named() {
    let log = log(10);
    assert_eq!(found(&log, |log| _ = log.remove(4)), Some(AuditFinding::Removed { seq: 5 }));
    assert_eq!(found(&log, |log| _ = log.remove(0)), Some(AuditFinding::Removed { seq: 1 }), "the oldest");
    let many = found(&log, |log| _ = log.drain(2..6));
    assert_eq!(many, Some(AuditFinding::RemovedMany { first: 3, last: 6 }));
    let renumbered = found(&log, |log| {
        log.remove(4);
        renumber(log);
    });
    assert_eq!(renumbered, Some(AuditFinding::RemovedBefore { seq: 5, id: id(6), line: line(6) }));
}

#[test]
fn an_inserted_entry_is_named() {
    let log = log(10);
    let inserted = |is_new: bool, renumbers: bool, chains: bool| {
        found(&log, |log| {
            let mut line = log[4].clone();
            line.entry.id = "aud_new".to_owned();
            if is_new {
                (line.hash, line.previous) = (None, None);
            }
            if renumbers {
                line.entry.seq = 5;
            }
            if chains {
                line.hash = Some(line.entry.hash_after(line.previous.unwrap()));
            }
            log.insert(4, line);
            if renumbers {
                renumber(log);
            }
        })
    };
    for (is_new, renumbers, chains) in [
        (true, false, false),
        (false, false, false),
        (false, false, true),
        (false, true, true),
        (false, true, false),
    ] {
        let finding = inserted(is_new, renumbers, chains);
        let is_named = matches!(&finding, Some(AuditFinding::Inserted { seq: 5, id, .. }) if id == "aud_new");
        assert!(is_named, "{is_new} {renumbers} {chains}: {finding:?}");
    }
    let copied = found(&log, |log| {
        let mut line = log[4].clone();
        line.entry.id = "aud_new".to_owned();
        log.insert(5, line);
        renumber(log);
    });
    assert!(
        matches!(&copied, Some(AuditFinding::Inserted { seq: 6, id, .. }) if id == "aud_new"),
        "a copy behind its original: {copied:?}"
    );
}

#[test]
fn swapped_entries_are_named() {
    let log = log(10);
    for (other, seq) in [(5, 6), (8, 9)] {
        let wanted = Some(AuditFinding::Swapped { seq: 5, id: id(seq), other: seq, other_id: id(5) });
        let numbers = found(&log, |log| {
            log.swap(4, other);
            renumber(log);
        });
        assert_eq!(numbers, wanted, "with their hashes");
        let contents = found(&log, |log| {
            let (a, b) = (log[4].entry.clone(), log[other].entry.clone());
            log[4].entry = Entry { seq: a.seq, ..b.clone() };
            log[other].entry = Entry { seq: b.seq, ..a };
        });
        assert_eq!(contents, wanted, "without their hashes");
    }
}

#[test]
fn a_cut_end_is_named_by_the_head_in_the_file_or_one_kept_elsewhere() {
    let log = log(10);
    let wanted = Some(AuditFinding::EndCut { last: 7, head: 10 });
    assert_eq!(found(&log, |log| log.truncate(7)), wanted);
    let cut = &log[..7];
    let text = file(cut, &head_of(cut), Some(&Head::start()));
    assert_eq!(verified(&text, None).finding, None, "the file agrees with itself");
    assert_eq!(verified(&text, published(&head_of(&log))).finding, wanted);
    let hash_alone = Some(Published { seq: None, hash: head_of(&log).hash });
    assert_eq!(verified(&text, hash_alone).finding, Some(AuditFinding::HeadMissing));
    let text = file(&log, &head_of(&log), Some(&Head::start()));
    let broken_off = text.split_inclusive("\r\n").take(6).collect::<String>();
    assert!(verified(&broken_off, None).finding.is_some());
}

#[test]
fn a_log_that_was_chained_again_is_unmasked_by_a_head_kept_elsewhere() {
    let original = log(10);
    let mut entries: Vec<Entry> = original.iter().map(|line| line.entry.clone()).collect();
    entries[4].actor = "user_other".to_owned();
    let again = chained(entries, EntryHash::GENESIS);
    let text = file(&again, &head_of(&again), Some(&Head::start()));
    assert_eq!(verified(&text, None).finding, None, "the file agrees with itself");
    let wanted = Some(AuditFinding::Rewritten { seq: 10, id: id(10) });
    assert_eq!(verified(&text, published(&head_of(&original))).finding, wanted);
    let report = verified(&text, published(&original[3].entry.head(original[3].hash.unwrap())));
    assert_eq!((report.finding, report.is_head_found), (None, true), "up to entry 4 nothing was changed");
    let hash_alone = Some(Published { seq: None, hash: head_of(&original).hash });
    assert_eq!(verified(&text, hash_alone).finding, Some(AuditFinding::HeadMissing));
}

#[test]
fn a_log_whose_front_retention_has_cut_is_whole() {
    let log = log(10);
    let start = log[3].entry.head(log[3].hash.unwrap());
    let rest = &log[4..];
    let report = verified(&file(rest, &head_of(&log), Some(&start)), published(&start));
    assert_eq!((report.finding, report.is_head_found), (None, true), "the head before the cut still counts");
    let older = published(&log[1].entry.head(log[1].hash.unwrap()));
    let report = verified(&file(rest, &head_of(&log), Some(&start)), older);
    assert_eq!((report.finding, report.is_head_found), (None, false), "this one can no longer be compared");
    let further = verified(&file(&rest[1..], &head_of(&log), Some(&start)), None);
    assert_eq!(further.finding, Some(AuditFinding::Removed { seq: 5 }));
    // Retention went on while the file was written.
    let later = log[5].entry.head(log[5].hash.unwrap());
    assert_eq!(verified(&file(rest, &head_of(&log), Some(&later)), None).finding, None);
}

#[test]
fn entries_that_are_not_chained_yet_are_no_finding_at_the_end() {
    let mut log = log(10);
    let head = head_of(&log[..8]);
    (log[8].hash, log[9].hash, log[9].previous) = (None, None, None);
    let report = verified(&file(&log, &head, Some(&Head::start())), published(&head));
    assert_eq!((report.finding, report.unchained, report.newest), (None, 2, Some(head)));
}

#[test]
fn a_part_shows_what_was_changed_and_not_what_is_missing() {
    let log = log(10);
    let mut part: Vec<Line> = log.iter().filter(|line| line.entry.seq % 3 == 0).cloned().collect();
    let report = verified(&file(&part, &head_of(&log), None), published(&head_of(&log)));
    assert_eq!((report.finding, report.is_whole, report.is_head_found), (None, false, false));
    part[1].entry.at += 1;
    let report = verified(&file(&part, &head_of(&log), None), None);
    assert!(matches!(report.finding, Some(AuditFinding::Changed { seq: 6, .. })), "{report:?}");
}

#[test]
fn a_file_that_is_no_export_is_refused() {
    for (text, wanted) in [
        ("", AuditFinding::BrokeOff),
        ("time,id\r\n", AuditFinding::NotAnExport { column: "actor".to_owned() }),
    ] {
        assert_eq!(verified(text, None).finding, Some(wanted));
    }
    let log = log(2);
    let text = file(&log, &head_of(&log), Some(&Head::start())).replace(",1,", ",one,");
    assert!(matches!(verified(&text, None).finding, Some(AuditFinding::Unreadable { .. })));
}
