//! Input from outside, mutated: seeds from `tests/corpus/<target>`, changed by a seeded generator.
//!
//! `FUZZ_RUNS` is how often each target is run (default 20,000, a second); a failure names the
//! seed of the run, and `FUZZ_SEED` starts there. Findings stay as files of the corpus, which are run
//! unchanged each time.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the test looks for failures")]

#[path = "hostile/checks.rs"]
mod checks;

use std::fs;
use std::path::Path;

/// `SplitMix64` (Steele, Lea and Flood, 2014): small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(most.max(1)).unwrap()).unwrap()
    }
}

/// Pieces that parsers are sensitive to.
const PIECES: [&[u8]; 24] = [
    b"..",
    b"%2e",
    b"%2F",
    b"%25",
    b"%",
    b"/",
    b"//",
    b"\\",
    b";",
    b"?",
    b"#",
    b"@",
    b"*",
    b",",
    b".",
    b" ",
    b"\r\n",
    b"\0",
    b"\"",
    b"{",
    b"}",
    b"[",
    b"ntk_",
    "\u{e9}\u{1f600}".as_bytes(),
];

fn mutated(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        match random.below(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => {
                let piece = PIECES[random.below(PIECES.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
            3 => bytes.truncate(at),
            4 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                bytes.splice(at.., other[from..].iter().copied());
            }
            _ => {
                let end = at + random.below(bytes.len() - at + 1);
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
        }
        bytes.truncate(20_000);
    }
    bytes
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs `check` on each seed as it is, then on mutations.
fn run(target: &str, check: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(!seeds.is_empty());
    for seed in &seeds {
        check(seed);
    }
    let first = number("FUZZ_SEED", 1);
    for seed in first..first + number("FUZZ_RUNS", 20_000) {
        let input = mutated(&seeds, &mut Random(seed));
        let held = std::panic::catch_unwind(|| check(&input));
        assert!(held.is_ok(), "{target}, FUZZ_SEED={seed}: {:?}", String::from_utf8_lossy(&input));
    }
}

#[test]
fn tokens_and_their_carriers() {
    run("token", checks::token);
}

#[test]
fn paths_and_urls() {
    run("path", checks::path);
}

#[test]
fn scopes() {
    run("scope", checks::scope);
}

#[test]
fn headers_and_faults() {
    run("header", checks::header);
}

#[test]
fn ai_answers() {
    run("ai", checks::ai);
}

#[test]
fn jwts() {
    run("jwt", checks::jwt);
}

#[test]
fn values_in_kv() {
    run("kv", checks::kv);
}
