// Publication to KV, its comparison with D1, explanations and route tests.
// Its lines stay in one file: each file starts a system of its own, which takes seconds.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, eventually, putRoutes, sleep, startOnSockets } from "../support/harness.mjs";
import { sha256 } from "../support/tokens.mjs";

let system;
before(async () => (system = await startOnSockets({ faults: true })));
after(() => system?.stop());

const ask = (user, method, where, body, headers) => as(system, user, method, where, body, headers);
const fields = (answer) => answer.body.details?.map((d) => d.field);
const create = async (more) =>
  (await ask("admin", "POST", "/api/tokens", { name: "t", team_id: "automation", scopes: ["*"], ...more }))
    .body;
const keyOf = (token) => `token:${sha256(token)}`;
const inKv = async (token) => JSON.parse(await system.kv.get(keyOf(token)));
/** Makes changes look old enough for the comparison. */
const settle = () =>
  system.db.batch([
    system.db.prepare("UPDATE tokens SET updated_at = updated_at - 180000"),
    system.db.prepare("UPDATE settings SET updated_at = updated_at - 180000"),
    system.db.prepare("UPDATE outbox_watch SET due_at = due_at - 180000"),
  ]);
const one = (sql, column) => system.db.prepare(sql).first(column);
const counts = async () => (await system.faults("api")).counts;
/** Sets the stored progress of the comparison. */
const setProgress = (progress) =>
  system.db
    .prepare(
      "INSERT INTO settings (key, value, updated_at) VALUES ('reconcile', ?1, 0) ON CONFLICT (key) DO UPDATE SET value = ?1",
    )
    .bind(JSON.stringify(progress))
    .run();
const progress = async () =>
  JSON.parse(await one("SELECT value FROM settings WHERE key = 'reconcile'", "value"));
/** Makes no round due for an hour. */
const restingRound = () => setProgress({ started_at: Date.now(), completed_at: Date.now() });
const check = async (name) =>
  (await ask("admin", "GET", "/health/detailed")).body.checks.find((c) => c.name === name);

/** Waits until every reader sees an entry that a test wrote directly into KV. */
const shown = () => sleep(600);

/** Runs the whole comparison, slice by slice. */
async function reconcile(repair) {
  const drift = [];
  for (let cursor; ;) {
    const { status, body } = await ask("admin", "POST", "/api/publication/reconcile", {
      repair,
      ...(cursor && { cursor }),
    });
    assert.equal(status, 200, JSON.stringify(body));
    drift.push(...body.drift);
    if (!body.next_cursor) return drift;
    cursor = body.next_cursor;
  }
}

test("drift of every kind is found, notified and repaired", async () => {
  const [kept, lost, widened, revoked] = await Promise.all([
    create(),
    create(),
    create({ scopes: ["openai"] }),
    create(),
  ]);
  assert.equal((await ask("admin", "DELETE", `/api/tokens/${revoked.id}`)).status, 200);
  await settle();
  assert.deepEqual(await reconcile(false), [], "nothing differs");

  const resurrected = { ...(await inKv(kept.token)), id: revoked.id };
  const stray = { ...resurrected, id: "tok_gone" };
  await system.kv.delete(keyOf(lost.token));
  await system.kv.put(
    keyOf(widened.token),
    JSON.stringify({ ...(await inKv(widened.token)), scopes: ["*"] }),
  );
  await system.kv.put(keyOf(revoked.token), JSON.stringify(resurrected));
  await system.kv.put(`token:${"ab".repeat(32)}`, JSON.stringify(stray));
  await system.kv.put(
    `token:${"cd".repeat(32)}`,
    JSON.stringify({ name: "v1", team_id: "x", scopes: ["*"] }),
  );
  await shown();

  const found = await reconcile(false);
  const kinds = Object.fromEntries(found.map((d) => [d.subject, d.kind]));
  assert.deepEqual(kinds, {
    [lost.id]: "missing",
    [widened.id]: "different",
    [revoked.id]: "different",
    [`token:${"ab".repeat(32)}`]: "unknown",
    [`token:${"cd".repeat(32)}`]: "unknown",
  });
  assert.ok(found.every((d) => !d.repaired));
  assert.equal(
    (await ask("admin", "GET", "/api/publication")).body.drift,
    4,
    "an entry that waits for an import is no drift",
  );
  const bell = await ask("admin", "GET", "/api/notifications");
  assert.equal(bell.body.items.filter((n) => n.kind === "kv-drift").length, 4);
  assert.equal(
    (await ask("developer", "GET", "/api/notifications")).body.items.length,
    0,
    "a team does not see it",
  );

  const mended = await reconcile(true);
  assert.equal(mended.filter((d) => d.repaired).length, 4);
  assert.equal((await inKv(lost.token)).id, lost.id);
  assert.deepEqual((await inKv(widened.token)).scopes, ["openai"]);
  assert.equal((await inKv(revoked.token)).state, "revoked");
  assert.equal(JSON.parse(await system.kv.get(`token:${"ab".repeat(32)}`)).state, "revoked");
  assert.equal(
    JSON.parse(await system.kv.get(`token:${"cd".repeat(32)}`)).name,
    "v1",
    "a v1 entry waits for its import",
  );
  assert.equal((await reconcile(false)).filter((d) => d.kind !== "unknown").length, 0);
  assert.equal((await ask("admin", "GET", "/api/publication")).body.drift, 0);
  const audit = await ask("admin", "GET", "/api/dashboard/audit-logs?action=reconcile");
  assert.ok(audit.body.items.length > 0);
});

test("a repair reports exactly the subjects that KV has taken as repaired, even if much else is due", async () => {
  const [one, other] = [await create(), await create()];
  await settle();
  await restingRound();
  const urgent =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250) INSERT INTO outbox (id, kind, entity_id, priority, created_at, next_attempt_at) SELECT 'obx_urgent' || i, 'token', 'tok_urgent' || i, 0, 1, 1 FROM n";
  const of = (drift, token) => drift.filter((d) => d.subject === token.id).map((d) => [d.kind, d.repaired]);
  const watched = (token) =>
    system.db
      .prepare("SELECT count(*) AS n FROM outbox_watch WHERE entity_id = ?1")
      .bind(token.id)
      .first("n");
  await system.db.prepare("DELETE FROM outbox_watch").run();
  await system.db.prepare(urgent).run();
  await system.kv.delete(keyOf(one.token));
  await shown();
  assert.deepEqual(of(await reconcile(true), one), [["missing", true]]);
  assert.equal((await inKv(one.token))?.id, one.id, "reported as repaired but not in KV");
  assert.equal(
    await watched(one),
    0,
    "a difference that a repair does not fix would be repaired every few minutes",
  );

  await system.kv.delete(keyOf(other.token));
  await shown();
  await system.faults("api", { kv_put: { fail: true } });
  try {
    assert.deepEqual(of(await reconcile(true), other), [["missing", false]]);
  } finally {
    await system.faults("api", { kv_put: null });
  }
  await system.db.prepare("DELETE FROM outbox WHERE entity_id GLOB 'tok_urgent*'").run();
  await system.db.prepare("UPDATE outbox SET next_attempt_at = 0").run();
  await system.cron();
  assert.equal((await inKv(other.token))?.id, other.id, "it waited in the outbox");
});

test("a token that only a newer version understands is published, and is no drift", async () => {
  const token = await create();
  await system.db.batch([
    system.db
      .prepare(
        `UPDATE tokens SET limits = '{"critical":["hours"],"hours":"9-17"}', version = version + 1 WHERE id = ?1`,
      )
      .bind(token.id),
    system.db
      .prepare(
        "INSERT INTO outbox (id, kind, entity_id, created_at, next_attempt_at) VALUES ('obx_newer', 'token', ?1, 1, 1)",
      )
      .bind(token.id),
  ]);
  await system.cron();
  assert.deepEqual((await inKv(token.token)).limits, { critical: ["hours"], hours: "9-17" });
  await settle();
  await shown();
  assert.deepEqual(
    (await reconcile(true)).filter((d) => d.subject === token.id),
    [],
  );
  assert.equal((await ask("admin", "DELETE", `/api/tokens/${token.id}`)).status, 200);
});

test("the cron repairs an entry that a late write has undone", async () => {
  const token = await create();
  const old = await inKv(token.token);
  assert.equal((await ask("admin", "DELETE", `/api/tokens/${token.id}`)).body.propagation, "published");
  await system.kv.put(keyOf(token.token), JSON.stringify(old)); // a write that had timed out arrives late
  await restingRound();
  await settle();
  await system.cron();
  await eventually(async () => (await inKv(token.token)).state === "revoked", 5_000, "the tombstone");
});

test("a thousand tokens that changed at once are all compared again", async () => {
  const made = await Promise.all(Array.from({ length: 3 }, () => create()));
  const at = Date.now() - 200_000;
  const ids = Array.from({ length: 1_200 }, (_, i) => `tok_same${String(i).padStart(5, "0")}`);
  await system.db.batch([
    system.db
      .prepare(
        "INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at) SELECT value, 'n', 'automation', '[]', ?2, ?2 FROM json_each(?1)",
      )
      .bind(JSON.stringify(ids), at),
    system.db.prepare("DELETE FROM outbox_watch"),
    system.db
      .prepare(
        "INSERT INTO outbox_watch (due_at, kind, entity_id) SELECT ?2, 'token', value FROM json_each(?1)",
      )
      .bind(JSON.stringify([...ids, ...made.map((t) => t.id)]), at),
    system.db.prepare("UPDATE tokens SET updated_at = ?1").bind(at),
  ]);
  for (const token of made) await system.kv.delete(keyOf(token.token));
  await restingRound();
  await system.cron();
  for (const token of made) assert.equal((await inKv(token.token))?.id, token.id, "still missing");
  assert.equal(
    await one(
      "SELECT count(*) AS n FROM outbox_watch WHERE due_at < ?1".replace("?1", String(Date.now())),
      "n",
    ),
    0,
  );
  await system.db.prepare("DELETE FROM tokens WHERE id LIKE 'tok_same%'").run();
});

test(
  "KV accepts one write a second of a key: faster changes are still published, and the last one stays",
  { timeout: 60_000 },
  async () => {
    const began = Date.now();
    const route = (path) =>
      ask("admin", "POST", "/api/routes", { name: "r", path, backend_url: `${system.upstream.url}/echo` });
    const [a, b] = await Promise.all([route("/api/pace-a"), route("/api/pace-b")]);
    assert.deepEqual([a.body.propagation, b.body.propagation], ["published", "published"]);
    const table = JSON.parse(await system.kv.get("routes"));
    assert.deepEqual(
      table.routes.map((r) => r.path).filter((p) => p.startsWith("/api/pace")),
      ["/api/pace-a", "/api/pace-b"],
    );
    const token = await create();
    // An edit and a revocation, while the token's first write is less than a second old.
    const [, revoked] = await Promise.all([
      ask("admin", "PUT", `/api/tokens/${token.id}`, { name: "edited" }),
      ask("admin", "DELETE", `/api/tokens/${token.id}`),
    ]);
    assert.deepEqual([revoked.status, revoked.body.propagation], [200, "published"]);
    assert.equal((await inKv(token.token)).state, "revoked");
    const price = (n) =>
      ask("admin", "PUT", "/api/prices/pace-model", { prompt_micros: n, completion_micros: n });
    const prices = await Promise.all([price(1), price(2)]);
    if (prices[0].status < 400)
      assert.deepEqual(
        prices.map((p) => p.body.propagation),
        ["published", "published"],
      );
    assert.ok(Date.now() - began < 20_000, `${Date.now() - began} ms`);
    await system.faults("api", { kv_put: null });
    for (const { body } of [a, b]) await ask("admin", "DELETE", `/api/routes/${body.id}`);
    await system.kv.delete("routes");
  },
);

test("a revocation during a republication is published at once, and says so", async () => {
  const token = await create();
  await system.db
    .prepare(
      "INSERT INTO outbox (id, kind, entity_id, priority, created_at, next_attempt_at) VALUES ('obx_again', 'token', ?1, 3, 1, 1)",
    )
    .bind(token.id)
    .run();
  const revoked = await ask("admin", "DELETE", `/api/tokens/${token.id}`);
  assert.deepEqual([revoked.status, revoked.body.propagation], [200, "published"]);
  assert.equal(await one("SELECT count(*) AS n FROM outbox", "n"), 0);
});

test("an unreadable token does not affect others, is reported, and can be revoked", async () => {
  const [good, bad] = [await create(), await create()];
  await settle();
  await system.db
    .prepare(`UPDATE tokens SET limits = '{"calls_per_day":"five"}' WHERE id = ?1`)
    .bind(bad.id)
    .run();
  await system.kv.delete(keyOf(good.token));
  await setProgress({});
  await system.cron();
  assert.equal((await inKv(good.token))?.id, good.id, "the token next to it was not repaired");
  const done = await progress();
  assert.ok(done.completed_at >= done.started_at && !done.error, JSON.stringify(done));
  assert.deepEqual(
    (await reconcile(true)).filter((d) => d.subject === bad.id).map((d) => [d.kind, d.repaired]),
    [["unreadable", false]],
  );
  assert.equal((await ask("admin", "GET", "/api/publication")).body.drift, 1);
  await system.db
    .prepare(
      "INSERT INTO outbox (id, kind, entity_id, created_at, next_attempt_at) VALUES ('obx_bad', 'token', ?1, 1, 1), ('obx_good', 'token', ?2, 1, 1)",
    )
    .bind(bad.id, good.id)
    .run();
  await system.cron();
  assert.deepEqual(
    (await system.db.prepare("SELECT id, last_error FROM outbox").all()).results.map((row) => [
      row.id,
      /five/.test(row.last_error),
    ]),
    [["obx_bad", true]],
  );
  await system.db
    .prepare("UPDATE tokens SET revoked_at = ?2, version = version + 1 WHERE id = ?1")
    .bind(bad.id, Date.now())
    .run();
  await system.db.prepare("UPDATE outbox SET next_attempt_at = 0").run();
  await system.cron();
  assert.equal((await inKv(bad.token)).state, "revoked");
  await settle();
  assert.deepEqual(
    (await reconcile(true)).filter((d) => d.kind !== "unknown"),
    [],
  );
  assert.deepEqual(
    (
      await system.db
        .prepare("SELECT subject, details FROM notifications WHERE kind = 'kv-drift' AND resolved_at IS NULL")
        .all()
    ).results,
    [],
  );
});

test("an edit that sets an unreadable field of a team or a route repairs it, and any other is refused", async () => {
  const put = (where, body) => ask("admin", "PUT", where, body);
  assert.equal((await ask("admin", "POST", "/api/teams", { id: "mended", name: "Mended" })).status, 201);
  const token = await create({ team_id: "mended" });
  await system.db.prepare(`UPDATE teams SET limits = '{"calls_per_day":"five"}' WHERE id = 'mended'`).run();
  await settle();
  await system.kv.delete(keyOf(token.token));
  await shown();
  assert.deepEqual((await ask("admin", "GET", "/api/teams/mended")).body.unreadable, ["limits"]);
  assert.equal((await put("/api/teams/mended", { name: "Other" })).status, 409);
  const team = await put("/api/teams/mended", { limits: {} });
  assert.deepEqual(
    [team.status, team.body.unreadable, team.body.propagation],
    [200, undefined, "published"],
    JSON.stringify(team.body),
  );
  assert.equal((await inKv(token.token))?.id, token.id, "its tokens can be published again");
  assert.equal((await put("/api/teams/mended", { name: "Other" })).status, 200);
  assert.equal((await ask("admin", "DELETE", `/api/tokens/${token.id}`)).status, 200);

  const route = (
    await ask("admin", "POST", "/api/routes", {
      name: "r",
      path: "/api/mended",
      backend_url: `${system.upstream.url}/echo`,
    })
  ).body;
  await system.db
    .prepare(`UPDATE routes SET methods = '[1]', settings = '{"ai":5}' WHERE id = ?1`)
    .bind(route.id)
    .run();
  const at = `/api/routes/${route.id}`;
  assert.deepEqual((await ask("admin", "GET", at)).body.unreadable.toSorted(), ["methods", "settings"]);
  for (const some of [{ name: "s" }, { methods: ["GET"] }, { settings: {} }])
    assert.equal((await put(at, some)).status, 409, JSON.stringify(some));
  const mended = await put(at, { methods: ["GET"], settings: {} });
  assert.deepEqual(
    [mended.status, mended.body.methods, mended.body.unreadable],
    [200, ["GET"], undefined],
    JSON.stringify(mended.body),
  );
  assert.equal((await ask("admin", "DELETE", at)).status, 200);
});

test("a comparison continues after a failure, reports it, and survives a cursor that KV no longer accepts", async () => {
  await restingRound();
  const before = await progress();
  await system.faults("api", { kv_get: { fail: true } });
  await system.cron();
  await system.faults("api", { kv_get: null });
  assert.match((await progress()).error, /^KV: /);
  assert.equal((await progress()).completed_at, before.completed_at);
  const said = await eventually(
    async () => {
      const { note } = await check("drift");
      return note !== null && note !== "1 entries" && note;
    },
    15_000,
    "the failure on the health page",
  );
  assert.equal(said, "the last comparison failed");
  assert.match((await ask("admin", "GET", "/api/publication")).body.compare_error, /^KV: /);

  const garbage = await ask("admin", "POST", "/api/publication/reconcile", { cursor: "keys:%%%" });
  assert.ok([200, 422].includes(garbage.status), JSON.stringify(garbage.body));
  await setProgress({ next: "keys:%%%", started_at: 1, completed_at: 1, compared: 5 });
  await system.cron();
  const after = await progress();
  assert.deepEqual([after.next, after.error], [null, null]);
  assert.ok(after.completed_at > 1);
  await setProgress({
    started_at: Date.now() - 40 * 3_600_000,
    completed_at: Date.now() - 30 * 3_600_000,
    next: "tokens:",
  });
  await eventually(
    async () => (await check("drift")).note === "not compared for 30 h",
    15_000,
    "its age on the health page",
  );
  await restingRound();
});

test("if KV is away, a run ends at its first failures, and the next run publishes the rest", async () => {
  const tokens = await Promise.all(Array.from({ length: 30 }, () => create()));
  await system.db
    .prepare(
      "INSERT INTO outbox (id, kind, entity_id, created_at, next_attempt_at) SELECT 'obx_' || id, 'token', id, 1, 1 FROM tokens WHERE id IN (SELECT value FROM json_each(?1))",
    )
    .bind(JSON.stringify(tokens.map((t) => t.id)))
    .run();
  await restingRound();
  await system.db.prepare("DELETE FROM outbox_watch").run();
  await system.faults("api", { kv_put: { fail: true } });
  const before = await counts();
  await system.cron();
  const after = await counts();
  assert.ok(after.kv_put - before.kv_put <= 6, `${after.kv_put - before.kv_put} writes were tried`);
  assert.ok(after.db - before.db < 30, `${after.db - before.db} queries`);
  assert.equal(
    await one("SELECT count(*) AS n FROM outbox WHERE attempts = 0", "n"),
    30 - (after.kv_put - before.kv_put),
    "rows that were not tried count as failed",
  );
  await system.faults("api", { kv_put: null });
  await system.db.prepare("UPDATE outbox SET next_attempt_at = 0").run();
  await system.cron();
  assert.equal(await one("SELECT count(*) AS n FROM outbox", "n"), 0);
});

test("only one run of the cron works at a time", async () => {
  await create();
  await system.db
    .prepare("INSERT INTO outbox (id, kind, created_at, next_attempt_at) VALUES ('obx_wait', 'prices', 1, 1)")
    .run();
  await system.db
    .prepare("UPDATE settings SET value = '\"another\"', updated_at = ?1 WHERE key = 'cron-lease'")
    .bind(Date.now())
    .run();
  await system.cron();
  assert.equal(await one("SELECT count(*) AS n FROM outbox", "n"), 1);
  await system.db
    .prepare("UPDATE settings SET updated_at = ?1 WHERE key = 'cron-lease'")
    .bind(Date.now() - 181_000)
    .run();
  await system.cron();
  assert.equal(await one("SELECT count(*) AS n FROM outbox", "n"), 0, "a dead run blocks all others");
});

test("if KV refuses writes, changes answer 202, the backlog shows, all is published later, and nothing is resurrected", async () => {
  const tokens = await Promise.all(Array.from({ length: 5 }, () => create()));
  await system.faults("api", { kv_put: { fail: true } });
  const revokes = await Promise.all(tokens.map((t) => ask("admin", "DELETE", `/api/tokens/${t.id}`)));
  assert.deepEqual(
    revokes.map((r) => [r.status, r.body.propagation]),
    tokens.map(() => [202, "pending"]),
  );
  const state = await ask("viewer", "GET", "/api/publication");
  assert.equal(state.status, 403);
  const backlog = (await ask("admin", "GET", "/api/publication")).body;
  assert.equal(backlog.pending, 5);
  assert.deepEqual(backlog.rows.map((r) => r.entity_id).sort(), tokens.map((t) => t.id).sort());
  assert.ok(backlog.rows.every((r) => r.attempts === 1 && r.last_error.includes("KV")));
  await system.db.prepare("UPDATE outbox SET created_at = created_at - 120000").run();
  const health = await eventually(
    async () => {
      const { body } = await ask("admin", "GET", "/health/detailed");
      return body.checks.find((c) => c.name === "publication" && c.status === "degraded");
    },
    15_000,
    "the backlog on the health page",
  );
  assert.match(health.note, /^5 pending for \d+ s$/);
  await system.cron();
  await system.faults("api", { kv_put: null });
  await system.db.prepare("UPDATE outbox SET next_attempt_at = 0").run();
  await system.cron();
  await eventually(
    async () => (await ask("admin", "GET", "/api/publication")).body.pending === 0,
    10_000,
    "publication",
  );
  await putRoutes(system, [["/api/echo", "/echo"]]);
  for (const token of tokens) {
    assert.equal((await inKv(token.token)).state, "revoked");
    assert.equal((await system.gateway("/api/echo", { headers: { "x-api-key": token.token } })).status, 401);
  }
  await system.kv.delete("routes");
});

test("detailed health reports each dependency in a word, without a session", async () => {
  await eventually(
    async () => {
      const response = await system.call("/health/detailed");
      const body = await response.json();
      const names = body.checks.map((c) => c.name).sort();
      assert.deepEqual(names, [
        "audit",
        "canary",
        "credentials",
        "database",
        "drift",
        "feed",
        "kv",
        "publication",
        "queue",
        "sessions",
        "usage",
      ]);
      return response.status === 200 && body.status === "ok";
    },
    15_000,
    "health",
  );
  await system.faults("api", { d1: { fail: true } });
  await eventually(
    async () => {
      const response = await system.call("/health/detailed");
      return (
        response.status === 503 &&
        (await response.json()).checks.some((c) => c.name === "database" && c.status === "down")
      );
    },
    15_000,
    "the database's fault",
  );
  await system.faults("api", { d1: null });
});

test("a v1 route table is not overwritten before it is imported", async () => {
  await system.kv.put("routes", JSON.stringify({ "/api/old": `${system.upstream.url}/echo` }));
  const created = await ask("admin", "POST", "/api/routes", {
    name: "new",
    path: "/api/new",
    backend_url: `${system.upstream.url}/echo`,
  });
  assert.deepEqual([created.status, created.body.propagation], [202, "pending"]);
  assert.match((await ask("admin", "GET", "/api/publication")).body.rows[0].last_error, /import them first/);
  assert.ok(JSON.parse(await system.kv.get("routes"))["/api/old"], "the gateway keeps serving it");
  await system.kv.delete("routes");
  await shown();
  await system.db.prepare("UPDATE outbox SET next_attempt_at = 0").run();
  await system.cron();
  await eventually(async () => JSON.parse(await system.kv.get("routes"))?.v === 2, 5_000, "the table");
  assert.equal((await ask("admin", "DELETE", `/api/routes/${created.body.id}`)).status, 200);
});

test("explain shows the gateway's decision at each step", async () => {
  const route = await ask("admin", "POST", "/api/routes", {
    name: "e",
    path: "/api/explained",
    backend_url: `${system.upstream.url}/echo`,
    methods: ["GET"],
    tags: ["ai"],
  });
  const token = await create({ scopes: ["GET /api/explained/*", "tag:other"], ip_allow: ["10.0.0.0/8"] });
  const explain = async (method, path, client_ip, user = "viewer") =>
    (await ask(user, "POST", `/api/tokens/${token.id}/explain`, { method, path, client_ip })).body;
  const denials = (answer) =>
    Object.fromEntries(answer.steps.filter((s) => s.denial).map((s) => [s.step, s.denial]));
  const good = await explain("get", "/api/explained/a?q=1", "10.1.2.3");
  assert.deepEqual(
    [good.allowed, good.route_id, good.scope, good.status, good.propagation],
    [true, route.body.id, "GET /api/explained/*", null, "published"],
  );
  assert.deepEqual(denials(await explain("GET", "/api/explained/a", "11.0.0.1")), {
    "client-ip": "ip-not-allowed",
  });
  const post = await explain("POST", "/api/explained/a", "10.0.0.1");
  assert.deepEqual(
    [denials(post), post.status, post.code],
    [{ method: "method", scope: "scope" }, 405, "method-not-allowed"],
  );
  assert.deepEqual(denials(await explain("GET", "/api/nowhere", "10.0.0.1")), { route: "no-route" });
  assert.equal(
    (await ask("newcomer", "POST", `/api/tokens/${token.id}/explain`, { method: "GET", path: "/" })).status,
    404,
  );
  const bad = await ask("viewer", "POST", `/api/tokens/${token.id}/explain`, {
    method: "G T",
    path: "x",
    client_ip: "home",
  });
  assert.deepEqual([bad.status, fields(bad)], [422, ["method", "path", "client_ip"]]);
  await ask("admin", "POST", `/api/tokens/${token.id}/disable`);
  assert.deepEqual(denials(await explain("GET", "/api/explained/a", "10.0.0.1")), { state: "disabled" });
});

test("a route's test call sends the credential and shows status and time", async () => {
  const make = (path, to, more) =>
    ask("admin", "POST", "/api/routes", {
      name: "t",
      path,
      backend_url: to.startsWith("http") ? to : system.upstream.url + to,
      ...more,
    });
  const run = async (id, body, user = "admin") => ask(user, "POST", `/api/routes/${id}/test`, body);
  const echo = (
    await make("/api/tested", "/echo", {
      enabled: false,
      credential: { kind: "query", parameter: "key", value: "vendor-secret" },
    })
  ).body;
  const seen = system.upstream.requests.length;
  const ok = await run(echo.id, { path: "/models?key=mine&a=1", method: "GET" });
  assert.deepEqual([ok.status, ok.body.status, ok.body.outcome], [200, 200, "ok"]);
  assert.ok(!JSON.stringify(ok.body).includes("vendor-secret"));
  const request = system.upstream.requests[seen];
  assert.equal(new URL(request.url, "http://x").searchParams.get("key"), "vendor-secret");
  assert.equal((await run(echo.id, { method: "HEAD" })).body.status, 200);
  const away = (await make("/api/away", "http://127.0.0.1:9", {})).body;
  assert.equal((await run(away.id)).body.outcome, "unreachable");
  await system.db
    .prepare("UPDATE credentials SET sealed = 'v1.AQEBAQEBAQEBAQEB._wA' WHERE route_id = ?")
    .bind(echo.id)
    .run();
  assert.deepEqual((await run(echo.id, {})).body.outcome, "credential-unavailable");
  for (const [path, field] of [
    ["models", "path"],
    ["/%2e%2e/%2e%2e/x", "path"],
  ])
    assert.deepEqual(fields(await run(echo.id, { path })), [field], path);
  assert.deepEqual(fields(await run(echo.id, { method: "POST" })), ["method"]);
  assert.equal((await run(echo.id, {}, "viewer")).status, 403);
  assert.deepEqual((await ask("viewer", "GET", "/api/routes/tags")).body.items, [{ tag: "ai", routes: 1 }]);
});

test("a DEVELOPER enables only tokens that they disabled themselves; an extension counts from the expiry", async () => {
  const own = (
    await ask("developer", "POST", "/api/tokens", {
      name: "own",
      team_id: "automation",
      scopes: ["*"],
      expires_days: 10,
    })
  ).body;
  const post = (user, what, body) => ask(user, "POST", `/api/tokens/${own.id}/${what}`, body);
  assert.equal((await post("developer", "disable")).status, 200);
  assert.equal((await post("developer", "enable")).status, 200);
  assert.equal((await post("manager", "disable")).status, 200);
  assert.equal((await post("developer", "enable")).status, 403);
  assert.equal((await post("manager", "enable")).status, 200);
  const extended = await post("developer", "extend", { days: 5 });
  assert.equal(extended.body.expires_at, own.expires_at + 5 * 86_400_000);
  assert.equal((await inKv(own.token)).expires_at, extended.body.expires_at);
  assert.deepEqual(fields(await post("developer", "extend", { days: 0 })), ["days"]);
  assert.equal((await post("developer", "extend", { days: null })).body.expires_at, null);
});

test("at most ten secrets work at once", async () => {
  const token = await create();
  const rotate = (body) => ask("admin", "POST", `/api/tokens/${token.id}/rotate`, body);
  for (let i = 0; i < 9; i++) assert.equal((await rotate()).status, 201);
  const full = await rotate();
  assert.deepEqual([full.status, fields(full)], [409, ["grace_hours"]]);
  assert.equal((await rotate({ grace_hours: 0 })).status, 201);
  assert.equal((await rotate()).status, 201);
});

test("If-Match protects every change of state, even against a concurrent change", async () => {
  const token = await create();
  for (const [method, what] of [
    ["POST", "/disable"],
    ["POST", "/rotate"],
    ["DELETE", ""],
  ]) {
    assert.equal(
      (await ask("admin", method, `/api/tokens/${token.id}${what}`, undefined, { "if-match": '"99"' }))
        .status,
      412,
    );
  }
  const both = await Promise.all(
    [0, 1].map(() =>
      ask("admin", "POST", `/api/tokens/${token.id}/rotate`, undefined, { "if-match": '"1"' }),
    ),
  );
  assert.deepEqual(both.map((a) => a.status).sort(), [201, 412]);
});

test("during a hold nothing is published by any path, and after it everything is", async () => {
  const token = await create();
  const stray = `token:${"ef".repeat(32)}`;
  await system.kv.put(stray, JSON.stringify({ ...(await inKv(token.token)), id: "tok_gone" }));
  await system.kv.put("publication-hold", JSON.stringify({ until: Date.now() + 600_000, why: "a drill" }));
  await shown();
  const before = (await counts()).kv_put;
  const revoked = await ask("admin", "DELETE", `/api/tokens/${token.id}`);
  assert.deepEqual([revoked.status, revoked.body.propagation], [202, "pending"]);
  const route = await ask("admin", "POST", "/api/routes", {
    name: "r",
    path: "/api/held",
    backend_url: `${system.upstream.url}/echo`,
  });
  assert.deepEqual([route.status, route.body.propagation], [202, "pending"]);
  const team = await ask("admin", "PUT", "/api/teams/automation", { scope_cap: ["openai"] });
  assert.deepEqual([team.status, team.body.propagation], [202, "pending"]);
  const repair = await ask("admin", "POST", "/api/publication/reconcile", { repair: true });
  assert.equal(repair.status, 409, JSON.stringify(repair.body));
  await settle();
  await setProgress({});
  await system.db.prepare("UPDATE outbox SET next_attempt_at = 0").run();
  await system.cron();
  assert.equal((await counts()).kv_put, before, "something was published during the hold");
  assert.equal((await inKv(token.token)).state, "active");
  await eventually(
    async () => /^held until \d{4}-/.test((await check("publication")).note ?? ""),
    15_000,
    "the hold on the health page",
  );

  await system.kv.put("publication-hold", JSON.stringify({ until: Date.now() - 1, why: "restore" }));
  await shown();
  await ask("admin", "PUT", "/api/teams/automation", { scope_cap: null });
  await system.db.prepare("UPDATE outbox SET next_attempt_at = 0").run();
  await system.cron();
  assert.equal((await inKv(token.token)).state, "revoked");
  assert.equal(JSON.parse(await system.kv.get(stray)).state, "revoked");
  assert.equal(await one("SELECT count(*) AS n FROM outbox", "n"), 0);
  await system.kv.delete("publication-hold");
  await ask("admin", "DELETE", `/api/routes/${route.body.id}`);
  await system.kv.delete("routes");
});
