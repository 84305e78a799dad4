// The canary on both real Workers: its figures appear, a fault on its path rings the bell and its repair stops it, and
// nothing that people see shows the canary itself.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, eventually, startOnSockets } from "../support/harness.mjs";

let system;
before(async () => {
  system = await startOnSockets({ apiVars: { CANARY_EVERY_MIN: "1" } });
});
after(() => system?.stop());

/** Runs the cron as if the last run were a minute ago. */
async function run(of = system) {
  await of.db
    .prepare("UPDATE settings SET value = json_set(value, '$.at', 0) WHERE key = 'canary-run'")
    .run();
  await of.cron();
  return report(of);
}
const report = async (of = system) => (await as(of, "admin", "GET", "/api/canary")).body;
const ms = ({ measures }) => Object.fromEntries(measures.map((one) => [one.measure, one.last_ms]));

async function bell(of = system) {
  const { items } = (await as(of, "admin", "GET", "/api/notifications")).body;
  return items.filter(({ kind }) => kind === "canary").map(({ subject, details }) => ({ subject, details }));
}
async function health(of = system) {
  // The report is measured every ten seconds at most.
  return eventually(
    async () => {
      const response = await of.call("/health/detailed");
      const { checks, checked_at } = await response.json();
      const check = checks.find(({ name }) => name === "canary");
      return Date.now() - checked_at < 2_000 && { http: response.status, ...check };
    },
    15_000,
    "a new report",
  );
}

test("each run measures how soon a new token works, a revoked one is refused, and a call is in usage", async () => {
  for (let i = 0; i < 3; i += 1) await run();
  const figures = await report();
  assert.deepEqual([figures.every_min, figures.last.state, figures.last.feed], [1, "measured", "on"]);
  for (const { measure, limit_ms, last_ms, day, month } of figures.measures) {
    assert.ok(last_ms > 0 && last_ms <= limit_ms, `${measure}: ${last_ms}`);
    assert.ok(day.runs === 3 && day.p50_ms <= day.p99_ms && day.p99_ms <= day.worst_ms, measure);
    assert.deepEqual(month, day);
  }
  assert.equal(
    figures.hours.reduce((sum, hour) => sum + hour.revoked.runs, 0),
    3,
  );
  assert.deepEqual(await bell(), []);
  const check = await health();
  assert.deepEqual([check.status, check.note_code], ["ok", "health-canary-saw"]);
});

test("a run costs what docs/cost.md says", async (t) => {
  const counts = async () => {
    const [{ counts: api }, { counts: gateway }] = await Promise.all(
      ["api", "gateway"].map((at) => system.faults(at)),
    );
    const { kv_put, db_rows_written, gateway: calls } = api;
    return {
      kv_put,
      db_rows_written,
      calls,
      kv_get: api.kv_get + gateway.kv_get,
      feed: api.feed + gateway.feed,
    };
  };
  const spent = async (work) => {
    const before = await counts();
    await work();
    return Object.fromEntries(Object.entries(await counts()).map(([kind, n]) => [kind, n - before[kind]]));
  };
  const [cron, both] = [await spent(() => system.cron()), await spent(() => run())];
  const own = Object.fromEntries(Object.keys(cron).map((kind) => [kind, both[kind] - cron[kind]]));
  t.diagnostic(JSON.stringify(own));
  assert.equal(own.kv_put, 2);
  assert.ok(
    own.db_rows_written <= 35 && own.calls <= 20 && own.kv_get <= 12 && own.feed <= 8,
    JSON.stringify(own),
  );
});

test("KV that takes a minute to show a change makes no difference", async (t) => {
  const strict = { kvDelayMs: 60_000, kvLateMs: 60_000 };
  for (const at of ["gateway", "api"]) await system.faults(at, { strict });
  const figures = await run();
  for (const at of ["gateway", "api"]) await system.faults(at, { strict: {} });
  t.diagnostic(JSON.stringify(ms(figures)));
  assert.equal(figures.last.state, "measured");
  assert.ok(ms(figures)["new-token"] <= 5_000 && ms(figures).revoked <= 5_000);
  assert.deepEqual(await bell(), []);
});

test("nobody sees the canary: no list, no count, no sum, no export, no finding", async () => {
  const made = await as(system, "admin", "POST", "/api/tokens", {
    name: "mine",
    team_id: "automation",
    scopes: ["*"],
  });
  await (await system.gateway("/api/none", { headers: { "x-api-key": made.body.token } })).text();
  // Its call arrives behind those of the runs before.
  await eventually(async () => (await system.usage.calls()) > 0);
  await run();
  const get = async (where) => (await as(system, "admin", "GET", where)).body;
  assert.deepEqual(
    (await get("/api/tokens")).items.map(({ name }) => name),
    ["mine"],
  );
  const { tokens, routes, calls } = await get("/api/stats");
  assert.deepEqual([tokens, routes, calls], [1, 0, 1]);
  const overview = await get("/api/dashboard/overview");
  assert.equal(overview.total.calls, 1);
  assert.deepEqual(
    overview.busiest_tokens.map(({ token_id }) => token_id),
    [made.body.id],
  );
  assert.deepEqual(overview.tokens_by_team.map(({ tokens }) => tokens).filter(Boolean), [1]);
  assert.deepEqual(
    (await get("/api/usage/events")).items.map(({ token_id }) => token_id),
    [made.body.id],
  );
  for (const where of ["/api/tokens", "/api/routes", "/api/audit", "/api/notifications", "/api/publication"])
    assert.doesNotMatch(JSON.stringify(await get(where)), /canary/, where);
  for (const where of ["/api/audit/export", "/api/usage/export"]) {
    const response = await system.call(where, {
      headers: { authorization: `Bearer ${system.jwt("admin")}` },
    });
    assert.doesNotMatch(await response.text(), /canary/, where);
  }
  assert.deepEqual(await system.usage.losses(), { dropped: 0, unknown_tokens: 0, undecodable: 0 });
  assert.equal((await as(system, "admin", "GET", "/api/tokens/tok_canary")).status, 404);
  // The comparison lists KV's keys, those of earlier runs among them.
  for (let cursor; cursor !== null;) {
    const { body } = await as(
      system,
      "admin",
      "POST",
      "/api/publication/reconcile",
      cursor ? { cursor } : {},
    );
    assert.deepEqual(body.drift, []);
    cursor = body.next_cursor ?? null;
  }
  assert.doesNotMatch(system.logs(), /ntk_/);
});

test("only the canary's own token opens its path, and it opens no other", async () => {
  const call = (headers) => system.gateway("/health/canary", { headers });
  const made = await as(system, "admin", "POST", "/api/tokens", {
    name: "other",
    team_id: "automation",
    scopes: ["*"],
  });
  assert.equal((await call({ "x-api-key": made.body.token })).status, 404);
  assert.equal((await call({})).status, 401);
  const body = { name: "x", path: "/health/canary", backend_url: "https://x.example", tags: [] };
  const refused = await as(system, "admin", "POST", "/api/routes", body);
  assert.deepEqual([refused.status, /path-reserved/.test(JSON.stringify(refused.body))], [422, true]);
});

test("a run begins once, however many crons run, and holds none of them up", async () => {
  const before = (await report()).measures[1].month.runs;
  await system.faults("api", { gateway: { delay_ms: 2_000 } });
  const crons = [run(), run()];
  await eventually(
    async () =>
      (await system.db
        .prepare("SELECT updated_at FROM settings WHERE key = 'cron-lease'")
        .first("updated_at")) === 0,
    2_000,
    "the end of the cron's own work",
  );
  await Promise.all(crons);
  await system.faults("api", { gateway: {} });
  assert.equal((await report()).measures[1].month.runs, before + 1);
});

test("a fault on its path rings the bell, and the bell stops when it is mended", async (t) => {
  // Isolates that cannot read the feed, at a location that shows each entry of KV for twelve seconds.
  await system.faults("gateway", { feed: { fail: true }, strict: { kvLateMs: 12_000 } });
  const late = await run();
  t.diagnostic(JSON.stringify(late.last));
  assert.equal(late.last.feed, "away");
  assert.ok(ms(late).revoked > 5_000);
  const [rung, ...others] = await bell();
  assert.deepEqual(
    [rung.subject, rung.details, others],
    ["revoked", { ms: ms(late).revoked, limit_ms: 5_000 }, []],
  );
  assert.equal((await health()).status, "degraded");

  await system.faults("gateway", { feed: {}, strict: {} });
  const mended = await run();
  assert.ok(ms(mended).revoked <= 5_000, JSON.stringify(mended.last));
  assert.deepEqual(await bell(), []);
  assert.equal((await health()).status, "ok");
  assert.equal(mended.measures[1].day.worst_ms, ms(late).revoked, "the worst stays");
});

test("a gateway that is away is a finding, and the rest of the API is well", async () => {
  await system.faults("api", { gateway: { fail: true } });
  const away = await run();
  assert.equal(away.last.state, "gateway-away");
  assert.deepEqual(
    (await bell()).map(({ subject }) => subject),
    ["gateway"],
  );
  const check = await health();
  assert.deepEqual([check.status, check.note, check.http], ["degraded", "the gateway does not respond", 200]);
  await system.faults("api", { gateway: {} });
  assert.equal((await run()).last.state, "measured");
  assert.deepEqual(await bell(), []);
});

test("a change that KV does not take is a finding, and leaves one change pending at most", async () => {
  await system.faults("api", { kv_put: { fail: true } });
  for (let i = 0; i < 2; i += 1) assert.equal((await run()).last.state, "not-published");
  assert.deepEqual(
    (await bell()).map(({ subject }) => subject),
    ["publication"],
  );
  assert.equal((await as(system, "admin", "GET", "/api/publication")).body.pending, 1);
  await system.faults("api", { kv_put: {} });
  // The cron publishes it when its turn has come.
  await system.db.prepare("UPDATE outbox SET next_attempt_at = 0").run();
  await run();
  await eventually(async () => (await run()).last.state === "measured", 20_000);
  assert.deepEqual(await bell(), []);
});

test("with the change feed switched off KV's time is no finding", async () => {
  const slow = await startOnSockets({
    apiVars: { CANARY_EVERY_MIN: "1" },
    gatewayVars: { FEED_POLL_MS: "0" },
    strict: { kvLateMs: 12_000 },
  });
  try {
    const figures = await run(slow);
    assert.equal(figures.last.feed, "off");
    assert.ok(ms(figures).revoked > 5_000, JSON.stringify(figures.last));
    assert.equal(figures.measures[1].limit_ms, null);
    assert.deepEqual(await bell(slow), []);
    const check = await health(slow);
    assert.deepEqual([check.status, check.note_code], ["ok", "health-canary-no-feed"]);
  } finally {
    await slow.stop();
  }
});
