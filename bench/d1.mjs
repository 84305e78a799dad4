// `npm run bench:d1 -- [--events 10000000] [--runs 30] [--json] [--state folder]`: reports, ingest and retention
// with that many calls in D1's local SQLite, on the real runtime. The calls are spread over 95 days, from 200 tokens of
// 10 teams on 40 routes, some far busier than others, with log-normal latencies.
import { existsSync, readdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { DatabaseSync } from "node:sqlite";
import { startOnSockets } from "../tests/support/harness.mjs";

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

// A named folder is kept, and the next run measures it unchanged.
const folder = options.state ?? mkdtempSync(path.join(tmpdir(), "bench-d1-"));
const isFilled = options.state !== undefined && existsSync(options.state);
const results = { events: count, runs, reports: {}, ingest: {}, retention: {} };
try {
  if (!isFilled) {
    const first = await startOnSockets({ persist: folder, strict: false });
    await first.stop();
    fill(databaseIn(folder));
  }
  const system = await startOnSockets({ persist: folder, schema: false, strict: false });
  try {
    await measure(system);
  } finally {
    await system.stop();
  }
} finally {
  if (!options.state) rmSync(folder, { recursive: true, force: true });
}
if (options.json) console.log(JSON.stringify(results, null, 2));

/** The SQLite file of D1 that has our schema. */
function databaseIn(top) {
  const files = readdirSync(top, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".sqlite"))
    .map((name) => path.join(top, name));
  const ours = files.find((file) => {
    const db = new DatabaseSync(file);
    const found = db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'usage_events'").get();
    db.close();
    return found;
  });
  if (!ours) throw new Error("no database with usage_events");
  return ours;
}

function fill(file) {
  const db = new DatabaseSync(file);
  db.exec(
    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; PRAGMA temp_store = MEMORY;",
  );
  const started = Date.now();
  const step = (what) => say(`[${String(Math.round((Date.now() - started) / 1000)).padStart(4)} s] ${what}`);
  const now = Date.now();
  db.exec("BEGIN");
  for (let i = 0; i < 10; i++)
    db.prepare("INSERT INTO teams (id, name, created_at, updated_at) VALUES (?, ?, 1, 1)").run(
      `team-${i}`,
      `Team ${i}`,
    );
  for (let i = 0; i < 200; i++) {
    db.prepare(
      "INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at) VALUES (?, ?, ?, '[\"*\"]', ?, 1)",
    ).run(`tok_${i}`, `Token ${i}`, `team-${i % 10}`, now - 95 * DAY + i);
  }
  for (let i = 0; i < 40; i++) {
    db.prepare(
      "INSERT INTO routes (id, name, path, backend_url, created_at, updated_at) VALUES (?, ?, ?, 'https://upstream.example/', 1, 1)",
    ).run(`rte_${i}`, `Route ${i}`, `/api/route-${i}`);
  }
  const indexes = db
    .prepare(
      "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'usage_events' AND type = 'index' AND sql IS NOT NULL",
    )
    .all();
  for (const { name } of indexes) db.exec(`DROP INDEX ${name}`);
  // A product of two uniform numbers makes low numbers likelier: some tokens and routes are far busier.
  // Each token uses about ten routes. Ids are as random as the gateway's.
  db.exec(`
    WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${count - 1}),
    rolled AS MATERIALIZED (SELECT i, abs(random()) % 10000 / 10000.0 AS a, abs(random()) % 10000 / 10000.0 AS b,
      abs(random()) % 10000 / 10000.0 AS c, abs(random()) % 10000 / 10000.0 AS d, abs(random()) % 1000 AS e FROM n),
    calls AS (SELECT *, CAST(200 * a * b AS INTEGER) AS token FROM rolled)
    INSERT INTO usage_events (id, at, token_id, team_id, route_id, route_path, path, method, status, outcome, latency_ms, gateway_ms,
      bytes_in, bytes_out, client_ip, user_agent, request_id)
    SELECT hex(randomblob(11)), ${now - 95 * DAY} + CAST(${95 * DAY - 60_000}.0 * i / ${count} AS INTEGER), 'tok_' || token, 'team-' || (token % 10),
      'rte_' || ((token * 7 + CAST(10 * c * c AS INTEGER)) % 40), '/api/route', '/api/route/v1/things', 'POST',
      iif(e < 960, 200, iif(e < 985, 404, 502)), iif(e < 960, 'ok', iif(e < 985, 'client-error', 'upstream-error')),
      CAST(exp(4.5 + 1.1 * (a + b + c + d - 2) * 1.7) AS INTEGER), 1, 300, 2000, '203.0.113.7', 'n8n', 'req_' || i
    FROM calls ORDER BY 1`);
  step(`${count} calls`);
  for (const { sql } of indexes) db.exec(String(sql));
  step("indexes of calls");
  const bin =
    "CASE WHEN latency_ms < 16 THEN latency_ms ELSE 16 + (o - 4) * 8 + ((latency_ms >> (o - 3)) & 7) END";
  db.exec(`CREATE TEMP TABLE fine AS SELECT at - at % 300000 AS t, token_id, team_id, route_id, ${bin} AS bin, count(*) AS calls,
      sum(outcome = 'ok') AS ok, sum(outcome = 'client-error') AS ce, sum(outcome = 'upstream-error') AS ue, sum(latency_ms) AS lat,
      sum(bytes_in) AS bi, sum(bytes_out) AS bo
    FROM (SELECT *, CAST(log2(max(latency_ms, 1)) AS INTEGER) AS o FROM usage_events) GROUP BY 1, 2, 3, 4, 5`);
  step("calls by five minutes");
  const dimensions = {
    all: "''",
    team: "team_id",
    token: "token_id",
    route: "route_id",
    pair: "token_id || ' ' || route_id",
  };
  const widths = { "5m": [300_000, now - 2 * DAY], hour: [3_600_000, 0], day: [DAY, 0], week: [7 * DAY, 0] };
  db.exec("DROP INDEX usage_rollups_by_age");
  for (const [dimension, key] of Object.entries(dimensions)) {
    for (const [granularity, [width, since]] of Object.entries(widths)) {
      db.exec(`INSERT INTO usage_rollups SELECT '${dimension}', '${granularity}', k, b, sum(calls), sum(ok), sum(ce), sum(ue), 0, 0, 0, 0, sum(lat), sum(calls),
          sum(bi), sum(bo), 0, 0, 0, 0, json_group_object(CAST(bin AS TEXT), calls)
        FROM (SELECT ${key} AS k, t - t % ${width} AS b, bin, sum(calls) AS calls, sum(ok) AS ok, sum(ce) AS ce, sum(ue) AS ue, sum(lat) AS lat,
            sum(bi) AS bi, sum(bo) AS bo FROM fine WHERE t >= ${since} GROUP BY 1, 2, 3)
        GROUP BY k, b`);
    }
    step(`rollups by ${dimension}`);
  }
  db.exec(
    "CREATE INDEX usage_rollups_by_age ON usage_rollups (granularity, bucket_start) WHERE granularity IN ('5m', 'hour')",
  );
  db.exec("INSERT INTO usage_pairs SELECT token_id, route_id, min(team_id), max(t) FROM fine GROUP BY 1, 2");
  db.exec("DROP TABLE fine; COMMIT; ANALYZE;");
  const rows = db.prepare("SELECT count(*) AS n FROM usage_rollups").get().n;
  const bytes = db
    .prepare("SELECT page_count * page_size AS n FROM pragma_page_count, pragma_page_size")
    .get().n;
  results.rollups = rows;
  results.database_mib = Math.round(Number(bytes) / 1048576);
  db.close();
  step(`${rows} rollups, ${results.database_mib} MiB`);
}

async function measure(system) {
  const now = Date.now();
  const from = now - 90 * DAY;
  const authorization = `Bearer ${system.jwt("admin")}`;
  await system.db
    .prepare("INSERT OR IGNORE INTO memberships VALUES ('user_viewer', 'team-3', 'VIEWER', 1)")
    .run();
  const get = async (where, as = authorization) => {
    const response = await system.call(where, { headers: { authorization: as } });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${where}: ${response.status} ${text}`);
    return text;
  };
  const viewer = `Bearer ${system.jwt("viewer")}`;
  const reports = {
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
    "first page, 90 days": [`/api/dashboard/overview?from=${from}`],
    counts: [`/api/stats`],
  };
  for (let i = 0; i < 20; i++) await get("/api/me");
  const times = async (where, as) => {
    const all = [];
    for (let i = 0; i < runs + 3; i++) {
      const begun = performance.now();
      await get(where, as);
      if (i >= 3) all.push(performance.now() - begun);
    }
    all.sort((a, b) => a - b);
    const at = (q) => Math.round(all[Math.min(all.length - 1, Math.ceil(all.length * q) - 1)] * 10) / 10;
    return { p50: at(0.5), p95: at(0.95) };
  };
  results.floor = await times("/api/me");
  say(
    `\n| request (floor: GET /api/me ${results.floor.p50} / ${results.floor.p95} ms) | p50 ms | p95 ms |\n|---|---|---|`,
  );
  for (const [name, [where, as]] of Object.entries(reports)) {
    results.reports[name] = await times(where, as);
    say(`| ${name} | ${results.reports[name].p50} | ${results.reports[name].p95} |`);
  }

  let serial = 0;
  const message = () => ({
    id: `bench${serial++}`,
    body: JSON.stringify({
      v: 1,
      events: Array.from({ length: 50 }, () => {
        const token = Math.floor(200 * Math.random() * Math.random());
        const latency = Math.round(Math.exp(4.5 + (Math.random() + Math.random() - 1) * 3));
        return {
          id: crypto.randomUUID(),
          at: Date.now(),
          token_id: `tok_${token}`,
          team: `team-${token % 10}`,
          route_id: `rte_${(token * 7 + Math.floor(10 * Math.random())) % 40}`,
          route_path: "/api/route",
          path: "/api/route/v1",
          method: "POST",
          status: 200,
          outcome: "ok",
          latency_ms: latency,
          gateway_ms: 1,
          bytes_in: 300,
          bytes_out: 2000,
          client_ip: "203.0.113.7",
          user_agent: "n8n",
          request_id: "req_bench",
        };
      }),
    }),
  });
  const ingest = async (batches) => {
    let spent = 0;
    for (let i = 0; i < batches; i++) {
      const messages = Array.from({ length: 100 }, message);
      const begun = performance.now();
      await system.deliver(messages);
      spent += performance.now() - begun;
    }
    return Math.round((batches * 5000) / (spent / 1000));
  };
  await ingest(1);
  const before = await system.db
    .prepare("SELECT count(*) AS n FROM usage_events WHERE at >= ?")
    .bind(now)
    .first("n");
  results.ingest.events_per_s = await ingest(10);
  const after = await system.db
    .prepare("SELECT count(*) AS n FROM usage_events WHERE at >= ?")
    .bind(now)
    .first("n");
  results.ingest.stored = after - before;
  say(`\ningest: ${results.ingest.events_per_s} events/s (${results.ingest.stored} stored)`);

  // Retention deletes events older than EVENTS_RETENTION_DAYS: here two thirds of all.
  const oldest = () => system.db.prepare("SELECT min(at) AS at FROM usage_events").first("at");
  const begun = performance.now();
  const [first] = await Promise.all([oldest()]);
  let cronMs = 0;
  const cron = (async () => {
    const t = performance.now();
    await system.cron();
    cronMs = performance.now() - t;
  })();
  const during = await times(reports["one team"][0]);
  const rate = await ingest(3);
  await cron;
  results.retention = {
    run_ms: Math.round(cronMs),
    report_p95_meanwhile: during.p95,
    ingest_meanwhile: rate,
    moved_days: ((await oldest()) - first) / DAY,
    total_ms: Math.round(performance.now() - begun),
  };
  say(
    `retention: one run ${results.retention.run_ms} ms; meanwhile "one team" p95 ${during.p95} ms, ingest ${rate} events/s`,
  );
}
