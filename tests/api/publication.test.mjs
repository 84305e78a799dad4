// What KV is told, what is compared, explained and tried.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, eventually, putRoutes, startOnSockets } from "../support/harness.mjs";
import { sha256 } from "../support/tokens.mjs";

let system;
before(async () => (system = await startOnSockets({ faults: true })));
after(() => system?.stop());

const ask = (user, method, where, body, headers) => as(system, user, method, where, body, headers);
const fields = (answer) => answer.body.details?.map((d) => d.field);
const create = async (more) => (await ask("admin", "POST", "/api/tokens", { name: "t", team_id: "automation", scopes: ["*"], ...more })).body;
const keyOf = (token) => `token:${sha256(token)}`;
const inKv = async (token) => JSON.parse(await system.kv.get(keyOf(token)));
/** Lets changes look as old as the comparison wants them. */
const settle = () => system.db.batch([
  system.db.prepare("UPDATE tokens SET updated_at = updated_at - 180000"),
  system.db.prepare("UPDATE settings SET updated_at = updated_at - 180000"),
]);

/** The whole comparison, slice by slice. */
async function reconcile(repair) {
  const drift = [];
  for (let cursor; ;) {
    const { status, body } = await ask("admin", "POST", "/api/publication/reconcile", { repair, ...(cursor && { cursor }) });
    assert.equal(status, 200, JSON.stringify(body));
    drift.push(...body.drift);
    if (!body.next_cursor) return drift;
    cursor = body.next_cursor;
  }
}

test("drift of every kind is found, told of, and mended", async () => {
  const [kept, lost, widened, revoked] = await Promise.all([create(), create(), create({ scopes: ["openai"] }), create()]);
  assert.equal((await ask("admin", "DELETE", `/api/tokens/${revoked.id}`)).status, 200);
  await settle();
  assert.deepEqual(await reconcile(false), [], "nothing differs");

  const resurrected = { ...(await inKv(kept.token)), id: revoked.id };
  const stray = { ...resurrected, id: "tok_gone" };
  await system.kv.delete(keyOf(lost.token));
  await system.kv.put(keyOf(widened.token), JSON.stringify({ ...(await inKv(widened.token)), scopes: ["*"] }));
  await system.kv.put(keyOf(revoked.token), JSON.stringify(resurrected));
  await system.kv.put(`token:${"ab".repeat(32)}`, JSON.stringify(stray));
  await system.kv.put(`token:${"cd".repeat(32)}`, JSON.stringify({ name: "v1", team_id: "x", scopes: ["*"] }));

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
  assert.equal((await ask("admin", "GET", "/api/publication")).body.drift, 4, "what waits for an import is no drift");
  const bell = await ask("admin", "GET", "/api/notifications");
  assert.equal(bell.body.items.filter((n) => n.kind === "kv-drift").length, 4);
  assert.equal((await ask("developer", "GET", "/api/notifications")).body.items.length, 0, "not every team's matter");

  const mended = await reconcile(true);
  assert.equal(mended.filter((d) => d.repaired).length, 4);
  assert.equal((await inKv(lost.token)).id, lost.id);
  assert.deepEqual((await inKv(widened.token)).scopes, ["openai"]);
  assert.equal((await inKv(revoked.token)).state, "revoked");
  assert.equal(JSON.parse(await system.kv.get(`token:${"ab".repeat(32)}`)).state, "revoked");
  assert.equal(JSON.parse(await system.kv.get(`token:${"cd".repeat(32)}`)).name, "v1", "a v1 entry waits for its import");
  assert.equal((await reconcile(false)).filter((d) => d.kind !== "unknown").length, 0);
  assert.equal((await ask("admin", "GET", "/api/publication")).body.drift, 0);
  const audit = await ask("admin", "GET", "/api/dashboard/audit-logs?action=reconcile");
  assert.ok(audit.body.items.length > 0);
});

test("the cron mends by itself what a late write has undone", async () => {
  const token = await create();
  const old = await inKv(token.token);
  assert.equal((await ask("admin", "DELETE", `/api/tokens/${token.id}`)).body.propagation, "published");
  await system.kv.put(keyOf(token.token), JSON.stringify(old)); // a write that had timed out arrives
  await settle();
  await system.cron();
  await eventually(async () => (await inKv(token.token)).state === "revoked", 5_000, "the tombstone");
});

test("KV refusing writes: 202 and a backlog to see, all published after, nothing resurrected", async () => {
  const tokens = await Promise.all(Array.from({ length: 5 }, () => create()));
  await system.faults("api", { kv_put: { fail: true } });
  const revokes = await Promise.all(tokens.map((t) => ask("admin", "DELETE", `/api/tokens/${t.id}`)));
  assert.deepEqual(revokes.map((r) => [r.status, r.body.propagation]), tokens.map(() => [202, "pending"]));
  const state = await ask("viewer", "GET", "/api/publication");
  assert.equal(state.status, 403);
  const backlog = (await ask("admin", "GET", "/api/publication")).body;
  assert.equal(backlog.pending, 5);
  assert.deepEqual(backlog.rows.map((r) => r.entity_id).sort(), tokens.map((t) => t.id).sort());
  assert.ok(backlog.rows.every((r) => r.attempts === 1 && r.last_error.includes("KV")));
  await system.db.prepare("UPDATE outbox SET created_at = created_at - 120000").run();
  const health = await eventually(async () => {
    const { body } = await ask("admin", "GET", "/health/detailed");
    return body.checks.find((c) => c.name === "publication" && c.status === "degraded");
  }, 15_000, "the backlog on the health page");
  assert.match(health.note, /^5 pending for \d+ s$/);
  await system.cron();
  await system.faults("api", { kv_put: null });
  await system.db.prepare("UPDATE outbox SET next_attempt_at = 0").run();
  await system.cron();
  await eventually(async () => (await ask("admin", "GET", "/api/publication")).body.pending === 0, 10_000, "publication");
  await putRoutes(system, [["/api/echo", "/echo"]]);
  for (const token of tokens) {
    assert.equal((await inKv(token.token)).state, "revoked");
    assert.equal((await system.gateway("/api/echo", { headers: { "x-api-key": token.token } })).status, 401);
  }
  await system.kv.delete("routes");
});

test("health in detail says a word of each, without a session", async () => {
  await eventually(async () => {
    const response = await system.call("/health/detailed");
    const body = await response.json();
    const names = body.checks.map((c) => c.name).sort();
    assert.deepEqual(names, ["credentials", "database", "drift", "kv", "publication", "queue", "sessions"]);
    return response.status === 200 && body.status === "ok";
  }, 15_000, "health");
  await system.faults("api", { d1: { fail: true } });
  await eventually(async () => {
    const response = await system.call("/health/detailed");
    return response.status === 503 && (await response.json()).checks.some((c) => c.name === "database" && c.status === "down");
  }, 15_000, "the database's fault");
  await system.faults("api", { d1: null });
});

test("a v1 route table is not overwritten before it is imported", async () => {
  await system.kv.put("routes", JSON.stringify({ "/api/old": `${system.upstream.url}/echo` }));
  const created = await ask("admin", "POST", "/api/routes", { name: "new", path: "/api/new", backend_url: `${system.upstream.url}/echo` });
  assert.deepEqual([created.status, created.body.propagation], [202, "pending"]);
  assert.match((await ask("admin", "GET", "/api/publication")).body.rows[0].last_error, /import them first/);
  assert.ok(JSON.parse(await system.kv.get("routes"))["/api/old"], "the gateway goes on serving it");
  await system.kv.delete("routes");
  await system.db.prepare("UPDATE outbox SET next_attempt_at = 0").run();
  await system.cron();
  await eventually(async () => JSON.parse(await system.kv.get("routes"))?.v === 2, 5_000, "the table");
  assert.equal((await ask("admin", "DELETE", `/api/routes/${created.body.id}`)).status, 200);
});

test("explain says of each step what the gateway decides", async () => {
  const route = await ask("admin", "POST", "/api/routes", { name: "e", path: "/api/explained", backend_url: `${system.upstream.url}/echo`, methods: ["GET"], tags: ["ai"] });
  const token = await create({ scopes: ["GET /api/explained/*", "tag:other"], ip_allow: ["10.0.0.0/8"] });
  const explain = async (method, path, client_ip, user = "viewer") => (await ask(user, "POST", `/api/tokens/${token.id}/explain`, { method, path, client_ip })).body;
  const denials = (answer) => Object.fromEntries(answer.steps.filter((s) => s.denial).map((s) => [s.step, s.denial]));
  const good = await explain("get", "/api/explained/a?q=1", "10.1.2.3");
  assert.deepEqual([good.allowed, good.route_id, good.scope, good.status, good.propagation], [true, route.body.id, "GET /api/explained/*", null, "published"]);
  assert.deepEqual(denials(await explain("GET", "/api/explained/a", "11.0.0.1")), { "client-ip": "ip-not-allowed" });
  const post = await explain("POST", "/api/explained/a", "10.0.0.1");
  assert.deepEqual([denials(post), post.status, post.code], [{ method: "method", scope: "scope" }, 405, "method-not-allowed"]);
  assert.deepEqual(denials(await explain("GET", "/api/nowhere", "10.0.0.1")), { route: "no-route" });
  assert.equal((await ask("newcomer", "POST", `/api/tokens/${token.id}/explain`, { method: "GET", path: "/" })).status, 404);
  const bad = await ask("viewer", "POST", `/api/tokens/${token.id}/explain`, { method: "G T", path: "x", client_ip: "home" });
  assert.deepEqual([bad.status, fields(bad)], [422, ["method", "path", "client_ip"]]);
  await ask("admin", "POST", `/api/tokens/${token.id}/disable`);
  assert.deepEqual(denials(await explain("GET", "/api/explained/a", "10.0.0.1")), { state: "disabled" });
});

test("a route's test call carries the credential and shows status and time", async () => {
  const make = (path, to, more) => ask("admin", "POST", "/api/routes", { name: "t", path, backend_url: to.startsWith("http") ? to : system.upstream.url + to, ...more });
  const run = async (id, body, user = "admin") => ask(user, "POST", `/api/routes/${id}/test`, body);
  const echo = (await make("/api/tested", "/echo", { enabled: false, credential: { kind: "query", parameter: "key", value: "vendor-secret" } })).body;
  const seen = system.upstream.requests.length;
  const ok = await run(echo.id, { path: "/models?key=mine&a=1", method: "GET" });
  assert.deepEqual([ok.status, ok.body.status, ok.body.outcome], [200, 200, "ok"]);
  assert.ok(!JSON.stringify(ok.body).includes("vendor-secret"));
  const request = system.upstream.requests[seen];
  assert.equal(new URL(request.url, "http://x").searchParams.get("key"), "vendor-secret");
  assert.equal((await run(echo.id, { method: "HEAD" })).body.status, 200);
  const away = (await make("/api/away", "http://127.0.0.1:9", {})).body;
  assert.equal((await run(away.id)).body.outcome, "unreachable");
  await system.db.prepare("UPDATE credentials SET sealed = 'v1.AQEBAQEBAQEBAQEB._wA' WHERE route_id = ?").bind(echo.id).run();
  assert.deepEqual((await run(echo.id, {})).body.outcome, "credential-unavailable");
  for (const [path, field] of [["models", "path"], ["/%2e%2e/%2e%2e/x", "path"]]) assert.deepEqual(fields(await run(echo.id, { path })), [field], path);
  assert.deepEqual(fields(await run(echo.id, { method: "POST" })), ["method"]);
  assert.equal((await run(echo.id, {}, "viewer")).status, 403);
  assert.deepEqual((await ask("viewer", "GET", "/api/routes/tags")).body.items, [{ tag: "ai", routes: 1 }]);
});

test("a DEVELOPER takes back only what he disabled himself; extending counts from the end", async () => {
  const own = (await ask("developer", "POST", "/api/tokens", { name: "own", team_id: "automation", scopes: ["*"], expires_days: 10 })).body;
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

test("If-Match holds for every change of state, also when somebody comes in between", async () => {
  const token = await create();
  for (const [method, what] of [["POST", "/disable"], ["POST", "/rotate"], ["DELETE", ""]]) {
    assert.equal((await ask("admin", method, `/api/tokens/${token.id}${what}`, undefined, { "if-match": '"99"' })).status, 412);
  }
  const both = await Promise.all([0, 1].map(() => ask("admin", "POST", `/api/tokens/${token.id}/rotate`, undefined, { "if-match": '"1"' })));
  assert.deepEqual(both.map((a) => a.status).sort(), [201, 412]);
});
