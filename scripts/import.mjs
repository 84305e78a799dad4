// `npm run import -- <folder> --api <address> [--apply]`: the earlier system's data. The folder holds
// `kv.json` (an object of key to value, or a list of {key, value} or {name, value}) and `teams`, `tokens`,
// `routes` and `token_usage_logs` as .json or .csv; what is not there is left out. The session token
// stands in TOKEN_MANAGER_SESSION. Without --apply it only shows what would happen.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";

const CALLS_AT_ONCE = 2_000;
const { values, positionals } = parseArgs({ allowPositionals: true, options: { api: { type: "string" }, apply: { type: "boolean", default: false } } });
const [folder] = positionals;
const session = process.env.TOKEN_MANAGER_SESSION;
if (!folder || !values.api || !session) {
  console.error("usage: TOKEN_MANAGER_SESSION=<session token> npm run import -- <folder> --api <address> [--apply]");
  process.exit(2);
}

function read(name) {
  const file = (ending) => path.join(folder, `${name}.${ending}`);
  if (existsSync(file("json"))) return JSON.parse(readFileSync(file("json"), "utf8"));
  return existsSync(file("csv")) ? readFileSync(file("csv"), "utf8") : undefined;
}

/** KV as an object, however `wrangler` wrote it. */
function kvOf(dump) {
  if (!Array.isArray(dump)) return dump ?? {};
  return Object.fromEntries(dump.map((entry) => [entry.key ?? entry.name, entry.value]));
}

/** Rows in parts that are the same at every run. A quoted line break stays in its row. */
function partsOf(table) {
  if (table === undefined) return [];
  const cut = (rows) => Array.from({ length: Math.ceil(rows.length / CALLS_AT_ONCE) }, (_, i) => rows.slice(i * CALLS_AT_ONCE, (i + 1) * CALLS_AT_ONCE));
  if (Array.isArray(table)) return cut(table);
  const rows = table.trim().match(/(?:"(?:[^"]|"")*"|[^"\n])+/g) ?? [];
  const [names, ...rest] = rows;
  return cut(rest).map((part) => [names, ...part].join("\n"));
}

async function send(what, body) {
  const response = await fetch(`${values.api.replace(/\/$/, "")}/api/import`, {
    method: "POST",
    headers: { authorization: `Bearer ${session}`, "content-type": "application/json" },
    body: JSON.stringify({ mode: values.apply ? "apply" : "check", ...body }),
  });
  const answer = await response.json();
  if (!response.ok) {
    console.error(`${what}: ${response.status} ${answer.message} ${JSON.stringify(answer.details ?? "")} (request ${answer.request_id})`);
    process.exit(1);
  }
  for (const item of answer.items) console.log(`${item.outcome.padEnd(8)} ${item.kind.padEnd(6)} ${item.subject}${item.notes.length ? `: ${item.notes.join("; ")}` : ""}`);
  return answer;
}

const totals = { created: 0, existing: 0, refused: 0 };
const add = (answer) => Object.keys(totals).forEach((key) => (totals[key] += answer[key]));
add(await send("settings", { kv: kvOf(read("kv")), tables: { teams: read("teams") ?? [], tokens: read("tokens") ?? [], routes: read("routes") ?? [] } }));
for (const [i, part] of partsOf(read("token_usage_logs")).entries()) add(await send(`calls, part ${i + 1}`, { tables: { token_usage_logs: part } }));
console.log(`\n${values.apply ? "done" : "would be"}: ${totals.created} created, ${totals.existing} there already, ${totals.refused} refused`);
