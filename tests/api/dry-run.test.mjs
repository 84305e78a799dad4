// A change tried on recorded calls: what it tells, that it is checked like the change, and that nothing is written.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, startOnSockets } from "../support/harness.mjs";
import { callOf, messageOf } from "../support/usage.mjs";

const DAY = 86_400_000;
let system;
after(() => system?.stop());

let serial = 0;
const one = async (user, method, where, body, headers) => {
  const answer = await as(system, user, method, where, body, headers);
  assert.ok(answer.status < 300, `${method} ${where}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
};
const makeToken = (more = {}) =>
  one("admin", "POST", "/api/tokens", {
    name: `tried ${serial++}`,
    team_id: "automation",
    scopes: ["tried-a", "tried-b"],
    ...more,
  });
const makeRoute = (path, more = {}) =>
  one("admin", "POST", "/api/routes", {
    name: path,
    path,
    backend_url: `${system.upstream.url}/echo`,
    ...more,
  });

/** Delivers calls, and folds some of them, so that a search meets segments and the inbox. */
async function deliver(target, events) {
  for (let from = 0; from < events.length; from += 5_000) {
    const batch = events.slice(from, from + 5_000);
    const messages = [];
    for (let i = 0; i < batch.length; i += 50)
      messages.push(messageOf(`d${serial++}`, batch.slice(i, i + 50)));
    await target.deliver(messages);
    if (from % 50_000 === 0) await target.cron();
  }
}

/** A number from 0 to 1 that is the same in each run. */
function numbers(seed) {
  let state = seed;
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647;
}

/** A month of calls of a token, newest last. */
function month(token, count, random = numbers(7)) {
  const now = Date.now();
  return Array.from({ length: count }, (_, i) => {
    const is_refused = random() < 0.05;
    const service = random() < 0.7 ? "a" : "b";
    const path = `/api/tried-${service}/${random() < 0.5 ? "models" : `runs/${Math.floor(random() * 6)}`}`;
    return callOf(`call-${token.id}-${i}`, {
      at: Math.floor(now - 29 * DAY + (29 * DAY * i) / count),
      token_id: token.id,
      team: token.team_id,
      route_id: `rte_${service}`,
      route_path: `/api/tried-${service}`,
      path,
      method: random() < 0.8 ? "POST" : "GET",
      ...(is_refused && { status: 403, outcome: "denied-ip" }),
      client_ip: random() < 0.9 ? "203.0.113.7" : "198.51.100.9",
      user_agent: random() < 0.8 ? "n8n/1.100" : "curl/8",
      request_id: `req-${i}`,
    });
  });
}

/** Every row of both databases, and every entry of KV. */
async function everything() {
  const all = {};
  for (const db of [system.db, system.usage.db]) {
    const tables = await db
      .prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'd1%'",
      )
      .all();
    for (const { name } of tables.results)
      all[name] = (await db.prepare(`SELECT * FROM ${name}`).all()).results;
  }
  for (const { name } of (await system.kv.list()).keys) all[`kv ${name}`] = await system.kv.get(name);
  return all;
}

/**
 * Asks to try a change, and fails if anything was written. The heartbeat that follows a run of the cron may come in
 * meanwhile, once; so what was written is looked at again.
 */
async function tried(method, where, body, user = "admin", headers = {}) {
  const ask = () => as(system, user, method, `${where}?dry_run=true`, body, headers);
  for (let tries = 1; ; tries++) {
    const before = await everything();
    const answer = await ask();
    const after = await everything();
    if (tries < 3 && after.inbox.length > before.inbox.length) continue;
    assert.deepEqual(counts(after), counts(before), "no row is written");
    assert.deepEqual(after, before, "nothing is written");
    return answer;
  }
}

const counts = (all) => Object.fromEntries(Object.entries(all).map(([name, rows]) => [name, rows.length]));

/** What the gateway's rules say of each call now, asked one distinct call after the other. */
async function refusedNow(token, events) {
  const known = new Map();
  const refused = [];
  for (const event of events) {
    const key = `${event.method} ${event.path} ${event.client_ip}`;
    if (!known.has(key))
      known.set(
        key,
        await one("admin", "POST", `/api/tokens/${token.id}/explain`, {
          method: event.method,
          path: event.path,
          client_ip: event.client_ip,
        }),
      );
    const { allowed, code } = known.get(key);
    if (!allowed) refused.push({ ...event, code });
  }
  return refused;
}

/** The ten most frequent workflows of some calls, as a report lists them. */
function workflowsOf(token, events) {
  const groups = Object.values(
    Object.groupBy(events, ({ method, path, user_agent }) => `${method} ${path} ${user_agent}`),
  );
  const rows = groups.map((calls) => {
    const { method, path, user_agent, at, id, request_id, code } = calls.at(-1);
    return {
      token_id: token.id,
      token_name: token.name,
      method,
      path,
      user_agent,
      code,
      calls: calls.length,
      last_at: at,
      last_id: id,
      request_id,
    };
  });
  return rows.sort((a, b) => b.calls - a.calls || b.last_at - a.last_at).slice(0, 10);
}

let token;
let events;
let routes;
before(async () => {
  system = await startOnSockets();
  routes = { a: await makeRoute("/api/tried-a"), b: await makeRoute("/api/tried-b") };
  token = await makeToken();
  events = month(token, 3_000).map((event) => ({ ...event, route_id: routes[event.route_id.slice(4)].id }));
  await deliver(system, events.slice(0, 2_500));
  await system.cron();
  await deliver(system, events.slice(2_500));
});

test("a cut of one scope names exactly the calls that would break", async () => {
  const cut = { scopes: ["tried-a"] };
  const answer = await tried("PUT", `/api/tokens/${token.id}`, cut);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const report = answer.body;
  assert.deepEqual([report.looked_at, report.back_to, report.is_whole], [3_000, events[0].at, true]);

  // The change is made, and each call is asked for again.
  const whole = await one("admin", "PUT", `/api/tokens/${token.id}`, cut);
  const refused = (await refusedNow(token, events)).filter((event) => event.outcome === "ok");
  await one("admin", "PUT", `/api/tokens/${token.id}`, { scopes: ["tried-a", "tried-b"] });
  assert.ok(refused.length > 500 && whole.scopes.length === 1);
  assert.equal(report.refused, refused.length);
  assert.deepEqual(report.steps, [
    {
      code: "permission-denied",
      status: 403,
      outcome: "denied-scope",
      limit: null,
      calls: refused.length,
      last_at: refused.at(-1).at,
    },
  ]);
  const workflows = report.workflows.map(
    ({ outcome, ...rest }) => (assert.equal(outcome, "denied-scope"), rest),
  );
  assert.deepEqual(workflows, workflowsOf(token, refused));
  assert.deepEqual([report.already_refused, report.admitted, report.restored, report.untold], [0, 0, 0, []]);
  const example = await system.usage.events({ token_id: token.id, path: report.workflows[0].path });
  assert.ok(
    example.some((call) => call.id === report.workflows[0].last_id),
    "the example can be looked up",
  );
});

test("addresses, expiry and states are tried as of now", async () => {
  const where = `/api/tokens/${token.id}`;
  const ok = events.filter((event) => event.outcome === "ok");
  const elsewhere = ok.filter((event) => event.client_ip !== "203.0.113.7").length;
  const bound = (await tried("PUT", where, { ip_allow: ["203.0.113.0/24"] })).body;
  assert.deepEqual([bound.refused, bound.steps[0].code], [elsewhere, "ip-not-allowed"]);
  assert.equal((await tried("PUT", where, { expires_days: 1 })).body.refused, 0, "it ends tomorrow");
  assert.equal((await tried("POST", `${where}/extend`, { days: 30 })).body.refused, 0);
  for (const [method, path] of [
    ["POST", `${where}/disable`],
    ["DELETE", where],
  ]) {
    const { refused, steps } = (await tried(method, path)).body;
    assert.deepEqual([refused, steps.map((step) => step.code)], [ok.length, ["invalid-api-key"]], path);
  }
  await one("admin", "POST", `${where}/disable`);
  const again = (await tried("POST", `${where}/enable`)).body;
  assert.deepEqual(
    [again.refused, again.restored, again.admitted],
    [0, ok.length, events.length - ok.length],
  );
  const revoked = (await tried("DELETE", where)).body;
  assert.deepEqual([revoked.refused, revoked.already_refused], [0, ok.length], "it is refused already");
  await one("admin", "POST", `${where}/enable`);
});

test("a route's deletion, closing and methods", async () => {
  const where = `/api/routes/${routes.b.id}`;
  const ok = events.filter((event) => event.outcome === "ok" && event.path.startsWith("/api/tried-b"));
  for (const [method, body, code, calls] of [
    ["DELETE", undefined, "route-not-found", ok],
    ["PUT", { enabled: false }, "route-not-found", ok],
    ["PUT", { methods: ["POST"] }, "method-not-allowed", ok.filter((event) => event.method !== "POST")],
    ["PUT", { settings: { maintenance: { message: "m", retry_after_s: 9 } } }, "under-maintenance", ok],
    ["PUT", { tags: ["t"], timeout_ms: 5_000 }, undefined, []],
  ]) {
    const { status, body: report } = await tried(method, where, body);
    assert.equal(status, 200, JSON.stringify(report));
    assert.deepEqual([report.refused, report.steps[0]?.code], [calls.length, code], JSON.stringify(body));
  }
  await one("admin", "PUT", where, { enabled: false });
  const opened = (await tried("PUT", where, { enabled: true })).body;
  assert.equal(opened.restored, ok.length);
  await one("admin", "PUT", where, { enabled: true });
});

test("a route that is opened below another takes its calls", async () => {
  const wide = await makeRoute("/api/wide");
  const deep = await makeRoute("/api/wide/deep", { enabled: false });
  const caller = await makeToken({ scopes: [`route:${wide.id}`] });
  const paths = ["/api/wide/x", "/api/wide/deep/x", "/api/wide/deep/y"];
  const calls = paths.map((path, i) =>
    callOf(`wide-${i}`, {
      token_id: caller.id,
      team: "automation",
      route_id: wide.id,
      path,
      at: Date.now() - 1_000,
    }),
  );
  await deliver(system, calls);
  const { looked_at, refused, steps } = (await tried("PUT", `/api/routes/${deep.id}`, { enabled: true }))
    .body;
  assert.deepEqual([looked_at, refused, steps[0].code], [2, 2, "permission-denied"]);
});

test("a team's cap and limits are tried on all of its tokens", async () => {
  await one("admin", "POST", "/api/teams", { id: "tried", name: "Tried" });
  const tokens = [
    await makeToken({ team_id: "tried" }),
    await makeToken({ team_id: "tried", limits: { calls_per_day: 1_000 } }),
  ];
  const start = Date.now() - 3 * 3_600_000;
  const calls = Array.from({ length: 60 }, (_, i) =>
    callOf(`team-${i}`, {
      token_id: tokens[i % 2].id,
      team: "tried",
      at: start + i * 1_000,
      path: i % 3 ? "/api/tried-a/x" : "/api/tried-b/x",
      route_id: routes[i % 3 ? "a" : "b"].id,
      ai: { model: "m", prompt_tokens: 10, completion_tokens: 10, cost_micros: 100 },
    }),
  );
  await deliver(system, calls);
  const where = "/api/teams/tried";
  const cap = (await tried("PUT", where, { scope_cap: ["tried-a"] })).body;
  assert.deepEqual([cap.looked_at, cap.refused, cap.steps[0].code], [60, 20, "permission-denied"]);
  assert.deepEqual(
    new Set(cap.workflows.map((one) => one.token_name)),
    new Set(tokens.map((one) => one.name)),
  );
  const limits = (await tried("PUT", where, { limits: { calls_per_day: 12 } })).body;
  assert.deepEqual(
    [limits.refused, limits.steps[0].limit, limits.steps[0].code, limits.untold],
    [18, "calls-per-day", "rate-limit-exceeded", ["earlier-use"]],
    "the second token has a limit of its own",
  );
  const budget = (await tried("PUT", where, { budget: { cost_micros_per_month: 4_000 } })).body;
  assert.deepEqual([budget.refused, budget.steps[0].code], [20, "cost-quota-exceeded"]);
});

test("the checks are those of the change", async () => {
  const where = `/api/tokens/${token.id}`;
  const fields = (answer) => answer.body.details.map((detail) => detail.field);
  const bad = await tried("PUT", where, { scopes: [], bogus: 1 });
  assert.deepEqual([bad.status, fields(bad)], [422, ["bogus"]]);
  assert.deepEqual(fields(await tried("PUT", where, { scopes: ["not a scope"] })), ["scopes.0"]);
  assert.equal((await tried("PUT", where, { scopes: ["*"] }, "admin", { "if-match": '"999"' })).status, 412);
  const dead = await makeToken();
  await one("admin", "DELETE", `/api/tokens/${dead.id}`);
  assert.equal((await tried("PUT", `/api/tokens/${dead.id}`, { scopes: ["*"] })).status, 409);
  assert.equal((await tried("POST", `/api/tokens/${dead.id}/enable`)).status, 409);
  assert.equal((await tried("DELETE", "/api/tokens/tok_none")).status, 404);
  assert.equal((await tried("DELETE", where, undefined, "viewer")).status, 403);
  assert.equal((await tried("PUT", where, { limits: null }, "newcomer")).status, 404);
});

test("422: what cannot be tried is not done", async () => {
  const before = await everything();
  /** @type {[string, string, any?][]} */
  const calls = [
    ["PUT", `/api/tokens/${token.id}?dry_run=1`, { scopes: ["*"] }],
    ["PUT", `/api/tokens/${token.id}?dry_run=true&dry_run=true`, { scopes: ["*"] }],
    ["POST", "/api/tokens?dry_run=true", { name: "n", team_id: "automation", scopes: ["*"] }],
    ["POST", `/api/tokens/${token.id}/rotate?dry_run=true`, {}],
    ["DELETE", `/api/routes/${routes.a.id}/credential?dry_run=true`],
  ];
  for (const [method, where, body] of calls) {
    const { status, body: error } = await as(system, "admin", method, where, body);
    assert.deepEqual([status, error.details[0].field], [422, "dry_run"], where);
  }
  assert.deepEqual(await everything(), before);
  const made = await as(system, "admin", "PUT", `/api/tokens/${token.id}?dry_run=false`, {
    description: "d",
  });
  assert.deepEqual([made.status, made.body.description], [200, "d"]);
});

test("a team of many tokens is tried within the queries of an invocation, on the calls of the newest 20,000", async (t) => {
  const many = await startOnSockets({ bucket: true });
  try {
    const TOKENS = 21_000;
    await many.db
      .prepare(
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${TOKENS})
        INSERT INTO tokens (id, name, team_id, scopes, created_at, updated_at)
        SELECT 'tok_many_' || i, 'many', 'automation', '["many"]', 0, 0 FROM n`,
      )
      .run();
    const body = { name: "many", path: "/api/many", backend_url: `${many.upstream.url}/echo` };
    assert.equal((await as(many, "admin", "POST", "/api/routes", body)).status, 201);
    const now = Date.now();
    const call = (_, i) =>
      callOf(`many-${i}`, {
        at: now - TOKENS + i,
        token_id: `tok_many_${i + 1}`,
        route_path: "/api/many",
        path: "/api/many/1",
      });
    await deliver(many, Array.from({ length: TOKENS }, call));
    await many.cron();
    const before = (await many.faults("api")).counts;
    const { status, body: report } = await as(many, "admin", "PUT", "/api/teams/automation?dry_run=true", {
      scope_cap: ["other"],
    });
    const after = (await many.faults("api")).counts;
    const [queries, reads] = [after.d1 - before.d1, after.r2_get - before.r2_get];
    t.diagnostic(JSON.stringify({ queries, reads, looked_at: report.looked_at, refused: report.refused }));
    assert.equal(status, 200, JSON.stringify(report));
    assert.deepEqual([report.looked_at, report.refused, report.is_whole], [20_000, 20_000, false]);
    assert.equal(report.back_to, now - 20_000);
    // In the worst case 600 blocks are read from the bucket beside these.
    assert.ok(queries < 100 && reads > 0, `${queries} queries, ${reads} reads`);
  } finally {
    await many.stop();
  }
});
