//! `npm run audit:verify -- audit.csv [--head HASH]`: checks an exported audit log without any network. A head that was
//! kept elsewhere, `<number>:<hash>` or the hash alone, unmasks a log that was chained again or cut at its end.
//!
//! The exit code is 0 if nothing was found, 1 if something was, and 2 if it could not check.

use domain::audit::verify::{Published, Report, Verifier};
use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "npm run audit:verify -- audit.csv [--head HASH]";

fn main() -> ExitCode {
    let result = read_arguments(env::args().skip(1)).and_then(|(name, head)| {
        let report = check(&name, head).map_err(|error| format!("{name}: {error}"))?;
        Ok((describe(&name, &report, head.is_some()), report.finding.is_none()))
    });
    let (text, code) = match result {
        Ok((text, true)) => (text, ExitCode::SUCCESS),
        Ok((text, false)) => (text, ExitCode::FAILURE),
        Err(why) => (format!("{why}\n"), ExitCode::from(2)),
    };
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

fn describe(name: &str, report: &Report, has_head: bool) -> String {
    let Report { entries, unchained, is_whole, newest, is_head_found, finding } = report;
    let part = if *is_whole { "" } else { "; a part of the log, so missing entries cannot be noticed" };
    let newest = newest.as_ref().map(|head| format!("newest chained entry: {head}\n")).unwrap_or_default();
    let result = match (finding, has_head, is_head_found) {
        (Some(finding), ..) => format!("FAILED: {finding}"),
        _ if !is_whole => "ok: no entry in this file was changed".to_owned(),
        (None, true, true) => "ok: everything is as it was written, up to the given head".to_owned(),
        (None, true, false) => {
            "ok: the file agrees with itself, but does not contain the given head".to_owned()
        }
        (None, false, _) => {
            "ok: the file agrees with itself; give --head with one that was kept elsewhere to prove it"
                .to_owned()
        }
    };
    format!("{name}: {entries} entries, {unchained} of them not chained yet{part}\n{newest}{result}\n")
}
