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
let serial = 0;
/** An event as the gateway sends it. */
const call = (token_id, more = {}) => ({
  id: `n${serial++}`,
  at: Date.now(),
  token_id,
  team: "automation",
  route_id: null,
  path: "/api/failing",
  method: "GET",
  status: 200,
  outcome: "ok",
  latency_ms: 1,
  gateway_ms: 0,
  request_id: "r",
  ...more,
});
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
  const calls = [
    ...Array.from({ length: 10 }, () => call(soon.id, { route_id: route.id })),
    ...Array.from({ length: 5 }, () =>
      call(soon.id, { route_id: route.id, outcome: "upstream-error", status: 502 }),
    ),
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
  await system.usage.db.batch(
    [
      "UPDATE losses SET at = 1",
      "DELETE FROM inbox",
      "DELETE FROM open",
      "DELETE FROM rollups WHERE granularity = '5m'",
    ].map((sql) => system.usage.db.prepare(sql)),
  );
  await system.cron();
  await eventually(async () => (await bell()).length === 0, 10_000, "all of it over");
});

// The audit log loses its front alone: audit.test.mjs.
test("only records past their retention are deleted", async () => {
  const now = Date.now();
  /** @type {[any, string, string, number, string][]} */
  const past = [
    [system.db, "webhook_messages", "id", 30, "INSERT INTO webhook_messages (id, received_at) VALUES (?, ?)"],
    [
      system.usage.db,
      "losses",
      "message",
      400,
      "INSERT INTO losses (message, at, dropped, unknown_tokens, undecodable) VALUES (?, ?, 0, 0, 0)",
    ],
  ];
  for (const [db, , , days, sql] of past)
    await db.batch([
      db.prepare(sql).bind("old", now - days * DAY - 60_000),
      db.prepare(sql).bind("kept", now - days * DAY + 600_000),
    ]);
  // Every bucket has a row of all calls, by which retention finds the oldest.
  const rollup = (granularity, at) =>
    ["'all', ?, ?, ''", "'token', ?, ?, 'x tok_ret'"].map((key) =>
      system.usage.db
        .prepare(`INSERT INTO rollups VALUES (${key}, 1,1,0,0,0,0,0,0,1,1,0,0,0,0,0,0,'{}')`)
        .bind(granularity, at),
    );
  await system.usage.db.batch([
    ...rollup("5m", now - 3 * DAY),
    ...rollup("5m", now),
    ...rollup("hour", now - 403 * DAY),
    ...rollup("hour", now),
    ...rollup("day", now - 900 * DAY),
    ...rollup("week", now - 900 * DAY),
  ]);
  const kept = async () =>
    (
      await system.usage.db
        .prepare("SELECT granularity AS g FROM rollups WHERE key = 'x tok_ret' ORDER BY 1")
        .all()
    ).results.map((row) => row.g);
  await system.cron();
  await eventually(async () => (await kept()).length === 4, 10_000, "rollups");
  assert.deepEqual(await kept(), ["5m", "day", "hour", "week"]);
  for (const [db, table, id] of past) {
    const left = await db.prepare(`SELECT ${id} AS id FROM ${table} WHERE ${id} IN ('old', 'kept')`).all();
    assert.deepEqual(
      left.results.map((row) => row.id),
      ["kept"],
      table,
    );
  }
});

test("raw calls are deleted with the end of their retention, and not before", async () => {
  const now = Date.now();
  const segments = (what) => system.usage.db.prepare(`SELECT ${what} AS n FROM segments`).first("n");
  const body = JSON.stringify({ v: 1, events: [call("tok_raw")] });
  await system.deliver([{ id: "m-raw", body }]);
  await eventually(
    async () => {
      await system.cron();
      return (await segments("count(*)")) > 0;
    },
    10_000,
    "the segment",
  );
  const before = await segments("sum(calls)");
  // Copies of a segment, as it would be once that much time has passed.
  const copy = `INSERT INTO segments SELECT id + ?1, ?2, ?2, calls, bytes, head, object, body FROM segments
    WHERE id = (SELECT min(id) FROM segments)`;
  const copied = await system.usage.db
    .prepare("SELECT calls FROM segments ORDER BY id LIMIT 1")
    .first("calls");
  await system.usage.db.batch([
    system.usage.db.prepare(copy).bind(1_000, now - 30 * DAY - 60_000),
    system.usage.db.prepare(copy).bind(2_000, now - 30 * DAY + 600_000),
  ]);
  await system.cron();
  await eventually(
    async () => (await segments(`coalesce(sum(until < ${now - 30 * DAY}), 0)`)) === 0,
    10_000,
    "the deletion",
  );
  assert.equal(await segments("sum(calls)"), before + copied);
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

test("a notification can be hidden by one person, for some hours or until it is opened again", async () => {
  const { body: token } = await ask("admin", "POST", "/api/tokens", {
    name: "hidden",
    team_id: "automation",
    scopes: ["*"],
    expires_days: 5,
  });
  await system.cron();
  const find = async (user) => (await bell(user)).find((note) => note.subject === token.id);
  const note = await eventually(() => find("admin"), 10_000, "the notification");
  const { kind, subject, created_at: opened_at } = note;
  const hide = (more = {}) =>
    ask("admin", "POST", "/api/notifications/snooze", { kind, subject, opened_at, ...more });
  for (const [field, more] of Object.entries({
    hours: { hours: 0 },
    subject: { subject: "" },
    opened_at: { opened_at: -1 },
  })) {
    const { status, body } = await hide(more);
    assert.deepEqual([status, body.details[0].field], [422, field]);
  }
  const { status, body } = await hide({ hours: 2 });
  assert.equal(status, 200);
  assert.ok(Math.abs(body.until - Date.now() - 7_200_000) < 60_000);
  assert.equal(await find("admin"), undefined);
  assert.ok(await find("manager"), "others still see it");
  await system.db.prepare("UPDATE notification_snoozes SET until = 1").run();
  assert.ok(await find("admin"), "its hours are over");
  await system.cron();
  assert.equal(await count("notification_snoozes"), 0, "what hides nothing is deleted");
  assert.deepEqual((await hide()).body, { until: null });
  assert.equal(await find("admin"), undefined);
  // The reason goes and comes back.
  await system.db
    .prepare("UPDATE notifications SET created_at = created_at + 1 WHERE subject = ?")
    .bind(subject)
    .run();
  assert.ok(await find("admin"), "it was opened again");
});
