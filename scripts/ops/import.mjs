// `npm run import -- <folder> --api <address> [--apply]`: the earlier system's data. The folder holds
// `kv.json` (an object of key to value, or a list of {key, value} or {name, value}) and `teams`, `tokens`,
// `routes` and `token_usage_logs` as .json or .csv; missing files are skipped. session.mjs gets the key, or
// the session and renews it. Without --apply it only shows a preview. Everything imported counts once, so the import can break off
// anywhere and be run again.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { callParts, settingsParts } from "./import/parts.mjs";
import { session as sessionOf } from "./session.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { api: { type: "string" }, apply: { type: "boolean", default: false } },
});
const [folder] = positionals;
const session = sessionOf();
if (!folder || !values.api || !session) {
  console.error(
    "usage: TOKEN_MANAGER_KEY=<admin API key> npm run import -- <folder> --api <address> [--apply]\n  or TOKEN_MANAGER_SESSION=<session token>; a session that ends is renewed with CLERK_SECRET_KEY, or by TOKEN_MANAGER_SESSION_COMMAND, which prints one",
  );
  process.exit(2);
}

function read(name) {
  const file = (ending) => path.join(folder, `${name}.${ending}`);
  if (existsSync(file("json"))) return JSON.parse(readFileSync(file("json"), "utf8"));
  return existsSync(file("csv")) ? readFileSync(file("csv"), "utf8") : undefined;
}

function fail(text) {
  console.error(`${text}\nNothing is lost: what was taken in stays, and the same command goes on from here.`);
  process.exit(1);
}

const post = async (body) =>
  fetch(`${values.api.replace(/\/$/, "")}/api/import`, {
    method: "POST",
    headers: { authorization: `Bearer ${await session.token()}`, "content-type": "application/json" },
    body: JSON.stringify({ mode: values.apply ? "apply" : "check", ...body }),
  });

/** Sends a part. A session that has ended is renewed once; a service that is briefly down is tried again. */
async function send(what, body) {
  for (let tries = 1; ; tries += 1) {
    const response = await post(body).catch((error) => ({
      status: 503,
      ok: false,
      json: async () => ({ message: error.cause?.message ?? error.message }),
    }));
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    if (response.status === 401 && session.canRenew && tries === 1) await session.renew();
    else if ((response.status === 503 || response.status === 429) && tries < 5)
      await new Promise((resolve) => setTimeout(resolve, 1_000 * 2 ** tries));
    else {
      const advice =
        response.status === 401 && !session.canRenew && !session.isKey
          ? "\nThe session has ended: give CLERK_SECRET_KEY, or TOKEN_MANAGER_SESSION_COMMAND, to have it renewed"
          : "";
      fail(
        `${what}: ${response.status} ${answer.message} ${JSON.stringify(answer.details ?? "")} (request ${answer.request_id})${advice}`,
      );
    }
  }
}

const totals = { created: 0, exists: 0, refused: 0 };
const seen = new Set();

/** Prints and counts the result of each item. A team that several parts name counts once. */
function tell({ items }) {
  for (const item of items) {
    const key = `${item.kind} ${item.subject}`;
    if (item.kind === "team" && seen.has(key)) continue;
    seen.add(key);
    totals[item.outcome] += 1;
    console.log(
      `${item.outcome.padEnd(8)} ${item.kind.padEnd(6)} ${item.subject}${item.notes.length ? `: ${item.notes.map((note) => note.message).join("; ")}` : ""}`,
    );
  }
}

const settings = settingsParts({
  kv: read("kv"),
  teams: read("teams"),
  tokens: read("tokens"),
  routes: read("routes"),
});
const calls = callParts(read("token_usage_logs"));
const parts = [
  ...settings.map((body) => ["settings", body]),
  ...calls.map((part) => ["calls", { tables: { token_usage_logs: part } }]),
];
const started = Date.now();
for (const [i, [what, body]] of parts.entries()) {
  tell(await send(`part ${i + 1} of ${parts.length} (${what})`, body));
  const left = Math.ceil((((Date.now() - started) / (i + 1)) * (parts.length - i - 1)) / 1_000);
  console.error(`part ${i + 1} of ${parts.length} (${what})${left > 0 ? `, ${left} s more` : ""}`);
}
console.log(
  `\n${values.apply ? "done" : "would be"}: ${totals.created} created, ${totals.exists} there already, ${totals.refused} refused`,
);
