// The data that a restore keeps on this machine until it has finished: the current state, in a folder that only its
// owner can read.
import {
  appendFileSync,
  createReadStream,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { counter } from "../operate.mjs";
import { root } from "../../setup.mjs";
import { KEYS, pages } from "./tables.mjs";

export const keptFolder = (stage) => path.join(root, ".wrangler", `restore-${stage}`);

/** The progress of a restore; null if none is under way. */
export function readState(stage) {
  const file = path.join(keptFolder(stage), "state.json");
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : null;
}

export function writeState(stage, state) {
  mkdirSync(keptFolder(stage), { recursive: true, mode: 0o700 });
  const file = path.join(keptFolder(stage), "state.json");
  writeFileSync(`${file}.new`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

const notesFile = (stage) => path.join(keptFolder(stage), "notes.txt");

/** Saves notes for the operator before the change that they describe: a second run would no longer see it. */
export const note = (stage, text) => appendFileSync(notesFile(stage), `${text}\n`, { mode: 0o600 });

export const notesOf = (stage) =>
  existsSync(notesFile(stage))
    ? [...new Set(readFileSync(notesFile(stage), "utf8").trim().split("\n"))].filter(Boolean)
    : [];

export const forget = (stage) => rmSync(keptFolder(stage), { recursive: true, force: true });

/** Entries of the audit log are kept from this long before: some are committed later than their times say. */
const LATE_MS = 3_600_000;

/** Writes every table to the folder, one page per line; of the audit log only entries from about `since` on. */
export async function keepAll(sql, stage, since) {
  mkdirSync(keptFolder(stage), { recursive: true, mode: 0o700 });
  rmSync(notesFile(stage), { force: true });
  for (const table of Object.keys(KEYS)) {
    const where = table === "audit" ? `at >= ${since - LATE_MS}` : "true";
    const [{ total }] = await sql(`SELECT count(*) AS total FROM ${table} WHERE ${where}`);
    const file = path.join(keptFolder(stage), `${table}.ndjson`);
    writeFileSync(file, "", { mode: 0o600 });
    const progress = counter(`kept of ${table}`, total);
    let done = 0;
    for await (const rows of pages(sql, table, where)) {
      appendFileSync(file, `${JSON.stringify(rows)}\n`);
      progress((done += rows.length));
    }
  }
}

/** Saves once more the rows that changed after `since`, so that no change made meanwhile is lost. */
export async function keepChanges(sql, stage, since) {
  for (const table of Object.keys(KEYS)) {
    const changed = {
      tokens: `updated_at >= ${since}`,
      token_secrets: `created_at >= ${since} OR token_id IN (SELECT id FROM tokens WHERE updated_at >= ${since})`,
      audit: `at >= ${since}`,
    }[table];
    const file = path.join(keptFolder(stage), `${table}.ndjson`);
    if (!changed) writeFileSync(file, "");
    for await (const rows of pages(sql, table, changed ? `(${changed})` : "true"))
      appendFileSync(file, `${JSON.stringify(rows)}\n`);
  }
}

/** The saved pages of a table. If a row is in two pages, the later one counts. */
export async function* keptPages(stage, table) {
  const input = createReadStream(path.join(keptFolder(stage), `${table}.ndjson`));
  for await (const line of createInterface({ input, crlfDelay: Infinity })) if (line) yield JSON.parse(line);
}

export async function keptRows(stage, table) {
  const rows = new Map();
  for await (const page of keptPages(stage, table))
    for (const row of page) rows.set(KEYS[table].map((key) => row[key]).join(" "), row);
  return [...rows.values()];
}
