// `npm run bench:d1 -- [--events 10000000] [--runs 30] [--json] [--state folder]`: reports, ingest, and both during a fold
// and retention, with that many calls in D1's local SQLite, on the real runtime. The calls are spread over 95 days, from
// 200 tokens of 10 teams on 40 routes, some far busier than others, with log-normal latencies, and one of a quiet team now
// and then. They come in through the consumer, as all calls do.
import { randomUUID } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { startOnSockets } from "../tests/support/harness.mjs";
import { messageKey } from "../tests/support/usage.mjs";

const DAY = 86_400_000;
const { values: options } = parseArgs({
  options: {
    events: { type: "string", default: "10000000" },
    runs: { type: "string", default: "30" },
    json: { type: "boolean", default: false },
    state: { type: "string" },
  },
});
const [count, runs] = [Number(options.events), Number(options.runs)];
const say = (text) => options.json || console.log(text);
const QUIET = { token_id: "tok_quiet", team: "team-quiet" };
/** Events of a message, messages of a batch, and batches between two folds. */
const [EVENTS, MESSAGES, BATCHES] = [50, 100, 20];

// A named folder is kept, and the next run measures it unchanged.
const folder = options.state ?? mkdtempSync(path.join(tmpdir(), "bench-d1-"));
const isFilled = options.state !== undefined && existsSync(options.state);
const results = { events: count, runs, reports: {}, ingest: {}, upkeep: {} };

async function running(more, work) {
  const system = await startOnSockets({ persist: folder, strict: false, ...more });
  try {
    await work(system);
  } finally {
    await system.stop();
  }
}

/** One call. A product of two uniform numbers makes low numbers likelier; each token uses about ten routes. */
function call(at) {
  const token = Math.floor(200 * Math.random() * Math.random());
  const end = Math.random();
  const [status, outcome] =
    end < 0.96 ? [200, "ok"] : end < 0.985 ? [404, "client-error"] : [502, "upstream-error"];
  const spread = [0, 0, 0, 0].reduce((sum) => sum + Math.random(), 0) - 2;
  return {
    id: randomUUID(),
    at: Math.floor(at),
    token_id: `tok_${token}`,
    team: `team-${token % 10}`,
    route_id: `rte_${(token * 7 + Math.floor(10 * Math.random() ** 2)) % 40}`,
    route_path: "/api/route",
    path: "/api/route/v1/things",
    method: "POST",
    status,
    outcome,
    latency_ms: Math.round(Math.exp(4.5 + 1.9 * spread)),
    gateway_ms: 1,
    bytes_in: 300,
    bytes_out: 2_000,
    client_ip: "203.0.113.7",
    user_agent: "n8n",
    request_id: `req_${randomUUID()}`,
  };
}

let serial = 0;
const message = (events) => ({
  id: `bench${serial++}`,
  body: JSON.stringify({ v: 1, key: messageKey(), events }),
});
const batchOf = (make) =>
  Array.from({ length: MESSAGES }, () => message(Array.from({ length: EVENTS }, make)));

async function fill(system) {
  const started = Date.now();
  const now = Date.now();
  const { db } = system;
  const insert = (sql, rows) => db.batch(rows.map((row) => db.prepare(sql).bind(...row)));
  const numbers = (n) => Array.from({ length: n }, (_, i) => i);
  await insert("INSERT INTO teams (id, name, created_at, updated_at) VALUES (?, ?, 1, 1)", [
    ...numbers(10).map((i) => [`team-${i}`, `Team ${i}`]),
    [QUIET.team, "Quiet"],
  ]);
  await insert(
    "INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at) VALUES (?, ?, ?, '[\"*\"]', ?, 1)",
    [
      ...numbers(200).map((i) => [`tok_${i}`, `Token ${i}`, `team-${i % 10}`, now - 95 * DAY + i]),
      [QUIET.token_id, "Quiet", QUIET.team, now - 95 * DAY],
    ],
  );
  await insert(
    "INSERT INTO routes (id, name, path, backend_url, created_at, updated_at) VALUES (?, ?, ?, 'https://upstream.example/', 1, 1)",
    numbers(40).map((i) => [`rte_${i}`, `Route ${i}`, `/api/route-${i}`]),
  );
  let made = 0;
  const next = () => call(now - 95 * DAY + (95 * DAY * made++) / count);
  for (let batches = 1; made < count; batches += 1) {
    const at = now - 95 * DAY + (95 * DAY * made) / count;
    const messages = batchOf(next);
    if (batches % BATCHES === 1) messages.push(message([{ ...call(at), ...QUIET }]));
    await system.deliver(messages);
    if (batches % BATCHES > 0) continue;
    await system.cron();
    if (batches % (10 * BATCHES) === 0)
      say(`[${String(Math.round((Date.now() - started) / 1_000)).padStart(4)} s] ${made} calls`);
  }
  await system.cron();
  const stored = await system.usage.calls();
  if (stored < count) throw new Error(`${stored} of ${count} calls were stored`);
}

/** What is stored: rows of rollups, raw calls and the bytes of each, and the size of the database. */
async function sizes({ usage }) {
  const one = async (sql) => (await usage.db.prepare(sql).all()).results[0];
  const { meta } = await usage.db.prepare("SELECT 1").all();
  const { rows } = await one("SELECT count(*) AS rows FROM rollups");
  const raw = await one(
    "SELECT count(*) AS segments, sum(calls) AS calls, sum(length(head) + bytes) AS bytes FROM segments",
  );
  const blocks = await one("SELECT count(*) AS count, coalesce(sum(length(head)), 0) AS bytes FROM blocks");
  return {
    rollups: rows,
    segments: raw.segments,
    blocks: blocks.count,
    raw_calls: raw.calls,
    bytes_a_raw_call: Math.round((raw.bytes + blocks.bytes) / raw.calls),
    database_mib: Math.round(meta.size_after / 1_048_576),
  };
}

/** The requests that are measured: the address, and who asks if not the platform admin. */
function requests(now, viewer) {
  const from = now - 90 * DAY;
  return {
    "stats, everything, by day": [`/api/usage/stats?from=${from}&interval=day`],
    "stats, everything, by day in Taipei": [`/api/usage/stats?from=${from}&interval=day&tz=Asia/Taipei`],
    "stats, everything, by hour, 24 days": [`/api/usage/stats?from=${now - 24 * DAY}&interval=hour`],
    "stats, everything, by 5 minutes, 2 days": [
      `/api/usage/stats?from=${now - 2 * DAY + 3_600_000}&interval=5m`,
    ],
    "stats, a team's member": [`/api/usage/stats?from=${from}&interval=day`, viewer],
    "one team": [`/api/usage/team/team-1?from=${from}&interval=day`],
    "one token": [`/api/usage/token/tok_0?from=${from}&interval=day`],
    "one token, by day in Berlin": [`/api/usage/token/tok_0?from=${from}&interval=day&tz=Europe/Berlin`],
    "one route": [`/api/usage/route?route_path=/api/route-7&from=${from}&interval=day`],
    "list of tokens, 200": [`/api/usage/tokens?from=${from}&limit=200`],
    "list of tokens, 50": [`/api/usage/tokens?from=${from}&limit=50`],
    "list of routes": [`/api/usage/routes?from=${from}&limit=200`],
    "list of routes, a team's member": [`/api/usage/routes?from=${from}`, viewer],
    "calls, newest": [`/api/usage/events?limit=50`],
    "calls of a token that failed": [`/api/usage/events?token_id=tok_5&status=5xx&limit=50`],
    "calls of a quiet team": [`/api/usage/events?team_id=${QUIET.team}&limit=50`],
    "calls of a quiet token": [`/api/usage/events?token_id=${QUIET.token_id}&limit=50`],
    "calls of an outcome that never occurred": [`/api/usage/events?outcome=timeout&limit=50`],
    "first page, 90 days": [`/api/dashboard/overview?from=${from}`],
    counts: [`/api/stats`],
  };
}

/** Milliseconds of a request, after three that warm up. */
async function times(get, where, as) {
  const all = [];
  for (let i = 0; i < runs + 3; i++) {
    const begun = performance.now();
    await get(where, as);
    if (i >= 3) all.push(performance.now() - begun);
  }
  all.sort((a, b) => a - b);
  const at = (q) => Math.round(all[Math.min(all.length - 1, Math.ceil(all.length * q) - 1)] * 10) / 10;
  return { p50: at(0.5), p95: at(0.95) };
}

/** Events a second that one consumer stores. */
async function ingest(system, batches) {
  let spent = 0;
  for (let i = 0; i < batches; i++) {
    const messages = batchOf(() => call(Date.now()));
    const begun = performance.now();
    await system.deliver(messages);
    spent += performance.now() - begun;
  }
  return Math.round((batches * MESSAGES * EVENTS) / (spent / 1_000));
}

async function measure(system) {
  await system.db
    .prepare("INSERT OR IGNORE INTO memberships VALUES ('user_viewer', 'team-3', 'VIEWER', 1)")
    .run();
  const [admin, viewer] = ["admin", "viewer"].map((user) => `Bearer ${system.jwt(user)}`);
  const get = async (where, as = admin) => {
    const response = await system.call(where, { headers: { authorization: as } });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${where}: ${response.status} ${text}`);
    return text;
  };
  const reports = requests(Date.now(), viewer);
  results.stored = await sizes(system);
  say(JSON.stringify(results.stored));
  for (let i = 0; i < 20; i++) await get("/api/me");
  results.floor = await times(get, "/api/me", admin);
  say(
    `\n| request (floor: GET /api/me ${results.floor.p50} / ${results.floor.p95} ms) | p50 ms | p95 ms |\n|---|---|---|`,
  );
  for (const [name, [where, as]] of Object.entries(reports)) {
    results.reports[name] = await times(get, where, as);
    say(`| ${name} | ${results.reports[name].p50} | ${results.reports[name].p95} |`);
  }

  await ingest(system, 1);
  const before = await system.usage.calls();
  results.ingest.events_per_s = await ingest(system, 10);
  results.ingest.stored = (await system.usage.calls()) - before;
  say(`\ningest: ${results.ingest.events_per_s} events/s (${results.ingest.stored} stored)`);

  // The fold of what has just come in, and retention: raw calls older than EVENTS_RETENTION_DAYS, two thirds of all.
  const begun = performance.now();
  const cron = system.cron().then(() => performance.now() - begun);
  const during = await times(get, ...reports["one team"]);
  const rate = await ingest(system, 3);
  const run_ms = Math.round(await cron);
  results.upkeep = { run_ms, report_p95_meanwhile: during.p95, ingest_meanwhile: rate };
  say(
    `fold and retention: one run ${run_ms} ms; meanwhile "one team" p95 ${during.p95} ms, ingest ${rate} events/s`,
  );
  say(JSON.stringify(await sizes(system)));
}

try {
  if (!isFilled) {
    const vars = { EVENTS_RETENTION_DAYS: "100" };
    await running({ apiVars: vars }, fill);
  }
  await running({ schema: false }, measure);
} finally {
  if (!options.state) rmSync(folder, { recursive: true, force: true });
}
if (options.json) console.log(JSON.stringify(results, null, 2));
