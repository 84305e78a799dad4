// The cron's upkeep: notifications, and deletion of expired records.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, eventually, startOnSockets } from "../support/harness.mjs";

const DAY = 86_400_000;
let system;
before(async () => (system = await startOnSockets()));
after(() => system?.stop());
const ask = (user, method, where, body) => as(system, user, method, where, body);
const bell = async (user = "admin") => (await ask(user, "GET", "/api/notifications")).body.items;
const count = (table, where = "1") =>
  system.db.prepare(`SELECT count(*) AS n FROM ${table} WHERE ${where}`).first("n");

test("notifications report tokens that expire soon, failing routes and the queue's losses until they are resolved", async () => {
  const soon = (
    await ask("admin", "POST", "/api/tokens", {
      name: "soon",
      team_id: "automation",
      scopes: ["*"],
      expires_days: 5,
    })
  ).body;
  await ask("admin", "POST", "/api/tokens", {
    name: "later",
    team_id: "automation",
    scopes: ["*"],
    expires_days: 90,
  });
  const route = (
    await ask("admin", "POST", "/api/routes", {
      name: "r",
      path: "/api/failing",
      backend_url: `${system.upstream.url}/echo`,
    })
  ).body;
  let serial = 0;
  const call = (outcome, status) => ({
    id: `n${serial++}`,
    at: Date.now(),
    token_id: soon.id,
    team: "automation",
    route_id: route.id,
    path: "/api/failing",
    method: "GET",
    status,
    outcome,
    latency_ms: 1,
    gateway_ms: 0,
    request_id: "r",
  });
  const calls = [
    ...Array.from({ length: 10 }, () => call("ok", 200)),
    ...Array.from({ length: 5 }, () => call("upstream-error", 502)),
  ];
  await system.deliver([
    { id: "m1", body: JSON.stringify({ v: 1, events: calls, dropped: 3 }) },
    { id: "m2", body: "garbage" },
  ]);
  await system.cron();
  await eventually(async () => (await bell()).length >= 4, 10_000, "notifications");
  const all = Object.fromEntries((await bell()).map((n) => [n.kind, n]));
  assert.deepEqual([all["token-expiring"].subject, all["token-expiring"].details.name], [soon.id, "soon"]);
  assert.deepEqual(all["route-failing"].details, { path: "/api/failing", calls: 15, failed: 5 });
  assert.deepEqual(
    [all["events-dropped"].details, all["dead-letters"].details],
    [{ events: 3 }, { messages: 1 }],
  );
  assert.deepEqual(
    (await bell("viewer")).map((n) => n.kind),
    ["token-expiring"],
    "a team sees its own",
  );
  assert.equal((await bell("newcomer")).length, 0);
  await ask("admin", "POST", `/api/tokens/${soon.id}/extend`, { days: 30 });
  await system.db.batch([
    system.db.prepare("UPDATE usage_losses SET at = 1"),
    system.db.prepare("DELETE FROM usage_rollups WHERE granularity = '5m'"),
  ]);
  await system.cron();
  await eventually(async () => (await bell()).length === 0, 10_000, "all of it over");
});

test("only records past their retention are deleted", async () => {
  const now = Date.now();
  /** @type {[string, number][]} */
  const past = [
    [
      "INSERT INTO usage_events (id, at, token_id, team_id, route_id, path, method, status, outcome, latency_ms, gateway_ms, request_id) VALUES (?, ?, 't', 'x', '', '/', 'GET', 200, 'ok', 1, 1, 'r')",
      30,
    ],
    [
      "INSERT INTO audit (id, at, actor, action, result, entity, request_id) VALUES (?, ?, 'a', 'test', 'done', 'x', 'r')",
      400,
    ],
    ["INSERT INTO webhook_messages (id, received_at) VALUES (?, ?)", 30],
    ["INSERT INTO usage_losses (message_id, at) VALUES (?, ?)", 400],
  ];
  for (const [sql, days] of past) {
    await system.db.batch([
      system.db.prepare(sql).bind("old", now - days * DAY - 60_000),
      system.db.prepare(sql).bind("kept", now - days * DAY + 600_000),
    ]);
  }
  const rollup = (granularity, at) =>
    system.db
      .prepare(
        "INSERT INTO usage_rollups VALUES ('token', ?, 'tok_ret', ?, 1,1,0,0,0,0,0,0,1,1,0,0,0,0,0,0,'{}')",
      )
      .bind(granularity, at);
  await system.db.batch([
    rollup("5m", now - 3 * DAY),
    rollup("5m", now),
    rollup("hour", now - 401 * DAY),
    rollup("hour", now),
    rollup("day", now - 900 * DAY),
    rollup("week", now - 900 * DAY),
  ]);
  await system.cron();
  await eventually(async () => (await count("usage_rollups", "key = 'tok_ret'")) === 4, 10_000, "rollups");
  for (const [table, id] of [
    ["usage_events", "id"],
    ["audit", "id"],
    ["webhook_messages", "id"],
    ["usage_losses", "message_id"],
  ]) {
    assert.deepEqual(
      [await count(table, `${id} = 'old'`), await count(table, `${id} = 'kept'`)],
      [0, 1],
      table,
    );
  }
  const kept = (
    await system.db
      .prepare("SELECT granularity AS g FROM usage_rollups WHERE key = 'tok_ret' ORDER BY 1")
      .all()
  ).results.map((r) => r.g);
  assert.deepEqual(kept, ["5m", "day", "hour", "week"]);
});

test("the first run of an hour purges all ended secrets, in any minute", async () => {
  const token = (
    await ask("admin", "POST", "/api/tokens", { name: "rotated often", team_id: "automation", scopes: ["*"] })
  ).body;
  const ended = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1700)
    INSERT INTO token_secrets (hash, token_id, hint_start, hint_end, created_at, ends_at) SELECT printf('%064x', i), ?1, '', '', i, ?2 + i FROM n`;
  await system.db.batch([
    system.db.prepare(ended).bind(token.id, Date.now() - 91 * DAY),
    system.db
      .prepare(
        "INSERT INTO settings (key, value, updated_at) VALUES ('secrets-purged', 'true', ?1) ON CONFLICT (key) DO UPDATE SET updated_at = ?1",
      )
      .bind(Date.now() - DAY / 24),
  ]);
  await system.cron();
  await eventually(
    async () => (await count("token_secrets", "ends_at IS NOT NULL")) === 0,
    10_000,
    "the purge",
  );
  assert.equal(await count("token_secrets"), await count("tokens"), "working secrets stay");
});
