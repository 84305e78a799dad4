//! `npm run audit:verify -- audit.csv [--head HASH]`: checks an exported audit log without any network. A head that was
//! kept elsewhere, `<number>:<hash>` or the hash alone, unmasks a log that was chained again or cut at its end.
//!
//! The exit code is 0 if nothing was found, 1 if something was, and 2 if it could not check, or not against the head.

use domain::audit::chain::Head;
use domain::audit::verify::{Proof, Published, Report, Verifier};
use domain::time::to_rfc3339;
use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "npm run audit:verify -- audit.csv [--head HASH]";

const NOT_CHECKED: u8 = 2;

fn main() -> ExitCode {
    let result = read_arguments(env::args().skip(1)).and_then(|(name, head)| {
        let report = check(&name, head).map_err(|error| format!("{name}: {error}"))?;
        let code = match report.result {
            Ok(proof) if proof.is_enough() => ExitCode::SUCCESS,
            Ok(_) => NOT_CHECKED.into(),
            Err(_) => ExitCode::FAILURE,
        };
        Ok((describe(&name, &report), code))
    });
    let (text, code) = result.unwrap_or_else(|why: String| (format!("{why}\n"), NOT_CHECKED.into()));
    // Nobody reads what a closed pipe does not take.
    let _ = io::stdout().write_all(text.as_bytes());
    code
}

fn read_arguments(arguments: impl Iterator<Item = String>) -> Result<(String, Option<Published>), String> {
    let (mut name, mut head) = (None, None);
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix("--head") {
            Some(rest) => {
                let text = rest.strip_prefix('=').map(str::to_owned).or_else(|| arguments.next());
                let read = text.unwrap_or_default().parse();
                head = Some(read.map_err(|why| format!("--head is {why}: {USAGE}"))?);
            }
            None if name.is_none() && !argument.starts_with("--") => name = Some(argument),
            None => return Err(format!("{argument} is not known: {USAGE}")),
        }
    }
    Ok((name.ok_or(USAGE)?, head))
}

fn check(name: &str, head: Option<Published>) -> io::Result<Report> {
    // npm runs scripts in the folder of package.json.
    let mut file = File::open(Path::new(&env::var_os("INIT_CWD").unwrap_or_default()).join(name))?;
    let (mut verifier, mut piece) = (Verifier::default(), vec![0; 1 << 20]);
    loop {
        let read = file.read(&mut piece)?;
        match piece.get(..read) {
            Some(bytes) if read > 0 => verifier.push(bytes),
            _ => return Ok(verifier.finish(head)),
        }
    }
}

fn describe(name: &str, report: &Report) -> String {
    let Report { entries, unchained, start, oldest_at, newest, result } = report;
    let place = |what: &str, head: &Option<Head>| {
        head.as_ref().map(|head| format!("{what}: {head}\n")).unwrap_or_default()
    };
    let oldest = oldest_at.and_then(to_rfc3339).map(|at| format!("oldest entry: {at}\n")).unwrap_or_default();
    let (start, newest) = (place("start", start), place("newest chained entry", newest));
    let part =
        if report.start.is_some() { "" } else { "; a part of the log, so missing entries cannot be noticed" };
    let result = match result {
        Err(finding) => format!("FAILED: {finding}"),
        Ok(proof) => describe_proof(*proof).to_owned(),
    };
    format!(
        "{name}: {entries} entries, {unchained} of them not chained yet{part}\n{start}{oldest}{newest}{result}\n"
    )
}

fn describe_proof(proof: Proof) -> &'static str {
    match proof {
        Proof::UpToHead => "ok: everything is as it was written, from the start up to the given head",
        Proof::Alone => {
            "ok: the file agrees with itself; give --head with one that was kept elsewhere to prove it"
        }
        Proof::Entries => "ok: each entry agrees with its own hash",
        Proof::HeadAbsent => "NOT PROVEN: the file agrees with itself, but does not contain the given head",
        Proof::HeadAtStart => {
            "NOT PROVEN: the given head is the start, before the oldest entry, so it proves no entry in this file"
        }
        Proof::Loose => {
            "NOT PROVEN: entries from before the start are not connected with it; export again, because retention may have cut some meanwhile"
        }
    }
}
