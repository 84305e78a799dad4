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
    verified(&file(&log, &head_of(original), Some(&Head::start())), None).result.err()
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
        start: Some(Head::start()),
        oldest_at: Some(log[0].entry.at),
        newest: Some(head_of(&log)),
        result: Ok(Proof::UpToHead),
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
    assert_eq!(verified(&text, None).result, Ok(Proof::Alone), "the file agrees with itself");
    assert_eq!(verified(&text, published(&head_of(&log))).result.err(), wanted);
    let hash_alone = Some(Published { seq: None, hash: head_of(&log).hash });
    assert_eq!(verified(&text, hash_alone).result.err(), Some(AuditFinding::HeadMissing));
    let text = file(&log, &head_of(&log), Some(&Head::start()));
    let broken_off = text.split_inclusive("\r\n").take(6).collect::<String>();
    assert!(verified(&broken_off, None).result.is_err());
}

#[test]
fn a_log_that_was_chained_again_is_unmasked_by_a_head_kept_elsewhere() {
    let original = log(10);
    let mut entries: Vec<Entry> = original.iter().map(|line| line.entry.clone()).collect();
    entries[4].actor = "user_other".to_owned();
    let again = chained(entries, EntryHash::GENESIS);
    let text = file(&again, &head_of(&again), Some(&Head::start()));
    assert_eq!(verified(&text, None).result, Ok(Proof::Alone), "the file agrees with itself");
    let wanted = Some(AuditFinding::Rewritten { seq: 10, id: id(10) });
    assert_eq!(verified(&text, published(&head_of(&original))).result.err(), wanted);
    let report = verified(&text, published(&original[3].entry.head(original[3].hash.unwrap())));
    assert_eq!(report.result, Ok(Proof::UpToHead), "up to entry 4 nothing was changed");
    let hash_alone = Some(Published { seq: None, hash: head_of(&original).hash });
    assert_eq!(verified(&text, hash_alone).result.err(), Some(AuditFinding::HeadMissing));
}

#[test]
fn a_log_whose_front_retention_has_cut_is_whole() {
    let log = log(10);
    let start = log[3].entry.head(log[3].hash.unwrap());
    let rest = &log[4..];
    let report = verified(&file(rest, &head_of(&log), Some(&start)), published(&start));
    assert_eq!(report.result, Ok(Proof::HeadAtStart), "the head before the cut proves nothing behind it");
    let older = published(&log[1].entry.head(log[1].hash.unwrap()));
    let report = verified(&file(rest, &head_of(&log), Some(&start)), older);
    assert_eq!(report.result, Ok(Proof::HeadAbsent), "this one can no longer be compared");
    let further = verified(&file(&rest[1..], &head_of(&log), Some(&start)), None);
    assert_eq!(further.result.err(), Some(AuditFinding::Removed { seq: 5 }));
    // Retention went on while the file was written.
    let later = log[5].entry.head(log[5].hash.unwrap());
    let report = verified(&file(rest, &head_of(&log), Some(&later)), published(&head_of(&log)));
    assert_eq!(report.result, Ok(Proof::UpToHead));
}

#[test]
fn entries_that_are_not_chained_yet_are_no_finding_at_the_end() {
    let mut log = log(10);
    let head = head_of(&log[..8]);
    (log[8].hash, log[9].hash, log[9].previous) = (None, None, None);
    let report = verified(&file(&log, &head, Some(&Head::start())), published(&head));
    assert_eq!((report.result, report.unchained, report.newest), (Ok(Proof::UpToHead), 2, Some(head)));
}

#[test]
fn a_part_shows_what_was_changed_and_not_what_is_missing() {
    let log = log(10);
    let mut part: Vec<Line> = log.iter().filter(|line| line.entry.seq % 3 == 0).cloned().collect();
    let report = verified(&file(&part, &head_of(&log), None), published(&head_of(&log)));
    assert_eq!((report.result, report.start), (Ok(Proof::HeadAbsent), None));
    let in_it = published(&head_of(&log[..6]));
    for given in [None, Some(in_it)] {
        assert_eq!(verified(&file(&part, &head_of(&log), None), given).result, Ok(Proof::Entries));
    }
    part[1].entry.at += 1;
    let report = verified(&file(&part, &head_of(&log), None), None);
    assert!(matches!(report.result, Err(AuditFinding::Changed { seq: 6, .. })), "{report:?}");
}

#[test]
fn a_file_that_is_no_export_is_refused() {
    for (text, wanted) in [
        ("", AuditFinding::BrokeOff),
        ("time,id\r\n", AuditFinding::NotAnExport { column: "actor".to_owned() }),
    ] {
        assert_eq!(verified(text, None).result.err(), Some(wanted));
    }
    let log = log(2);
    let text = file(&log, &head_of(&log), Some(&Head::start())).replace(",1,", ",one,");
    assert!(matches!(verified(&text, None).result, Err(AuditFinding::Unreadable { .. })));
}

/// Chains the log of ten entries again behind any place, after the first entry has been changed.
fn forged(behind: &Head) -> Vec<Line> {
    let entries = (1..=10).map(|seq| Entry { actor: "user_other".to_owned(), ..entry(behind.seq + seq) });
    chained(entries, behind.hash)
}

#[test]
fn a_log_that_was_chained_again_behind_the_hash_of_a_head_is_no_log() {
    let head = head_of(&log(10));
    let at = |seq: u64| Head { seq, id: String::new(), hash: head.hash };
    let checked = |start: &Head, given: Option<Published>| {
        let log = forged(start);
        verified(&file(&log, &head_of(&log), Some(start)), given).result
    };
    let given = Some(published(&head));
    assert_eq!(checked(&at(0), None), Err(AuditFinding::FalseStart { seq: 0 }));
    assert_eq!(checked(&at(0), given), Err(AuditFinding::FalseStart { seq: 0 }));
    let no_hash = Head { hash: EntryHash::GENESIS, ..at(3) };
    assert_eq!(checked(&no_hash, None), Err(AuditFinding::FalseStart { seq: 3 }));
    // A start before the head has the hash of the head: the entry with the head's number has another.
    assert_eq!(checked(&at(3), given), Err(AuditFinding::Rewritten { seq: 10, id: id(10) }));
    let hash_alone = Some(Published { seq: None, hash: head.hash });
    for (start, given) in [(at(3), hash_alone), (at(10), given), (at(10), hash_alone)] {
        assert_eq!(checked(&start, given), Ok(Proof::HeadAtStart), "{start}: nothing in the file is proven");
    }
    assert_eq!(checked(&at(12), given), Ok(Proof::HeadAbsent));
    let other = Head { hash: log(1)[0].hash.unwrap(), id: id(10), ..at(10) };
    assert_eq!(checked(&other, given), Err(AuditFinding::Rewritten { seq: 10, id: id(10) }));
}

#[test]
fn a_start_behind_the_newest_entry_is_false() {
    let original = log(10);
    let head = head_of(&original);
    let far = Head { seq: 1_000_000_000_000, ..head.clone() };
    let forged = forged(&Head { hash: head.hash, ..Head::start() });
    let text = file(&forged[3..], &head_of(&forged), Some(&far));
    for given in [None, Some(published(&head)), Some(Published { seq: None, hash: head.hash })] {
        assert_eq!(verified(&text, given).result, Err(AuditFinding::FalseStart { seq: far.seq }));
    }
}

#[test]
fn entries_that_retention_cut_while_the_file_was_written_are_no_finding_and_leave_others_unproven() {
    let log = log(10);
    let head = head_of(&log);
    let start = head_of(&log[..6]);
    // Entries 3 and 5 have newer times than those around them, so the file had them before the others were cut.
    let mut late: Vec<Line> =
        log.iter().filter(|line| ![1, 2, 4, 6].contains(&line.entry.seq)).cloned().collect();
    let proof = |log: &[Line]| verified(&file(log, &head, Some(&start)), published(&head)).result;
    assert_eq!(proof(&late), Ok(Proof::Loose));
    assert_eq!(proof(&late[2..]), Ok(Proof::UpToHead), "without them");
    assert_eq!(proof(&log[4..]), Ok(Proof::UpToHead), "connected with the start");
    // Somebody can chain such an entry to anything.
    late[1] = chained([Entry { actor: "user_other".to_owned(), ..entry(5) }], head.hash).remove(0);
    assert_eq!(proof(&late), Ok(Proof::Loose));
    let gap: Vec<Line> = late.iter().filter(|line| line.entry.seq != 7).cloned().collect();
    assert_eq!(proof(&gap), Err(AuditFinding::Removed { seq: 7 }), "behind the start");
    late[2].previous = None;
    assert!(proof(&late).is_err(), "the first entry behind the start does not follow it");
}
