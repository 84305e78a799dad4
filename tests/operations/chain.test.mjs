// The main job: a token made by the admin API, a call through the gateway, its usage in D1.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, eventually, startOnSockets, startSystem } from "../support/harness.mjs";

const CACHE_BOUND_MS = 11_000;

/** The same chain for both ways to start the system. */
for (const [name, start] of /** @type {any[][]} */ ([
  ["wrangler's test harness", startSystem],
  ["sockets", startOnSockets],
])) {
  test(`on ${name}: token, call, usage`, async () => {
    const system = await start();
    try {
      const made = await as(system, "admin", "POST", "/api/routes", {
        name: "Echo",
        path: "/api/echo",
        backend_url: `${system.upstream.url}/echo`,
        credential: { kind: "bearer", token: "vendor-secret-value" },
      });
      assert.equal(made.status, 201, JSON.stringify(made.body));
      const token = await as(system, "developer", "POST", "/api/tokens", {
        name: "n8n",
        team_id: "automation",
        scopes: ["echo"],
      });
      assert.equal(token.status, 201, JSON.stringify(token.body));
      const key = { headers: { "x-api-key": token.body.token } };

      for (let i = 0; i < 3; i++) {
        const answer = await system.gateway(`/api/echo/${i}`, key);
        assert.equal(answer.status, 200);
        const echo = await answer.json();
        assert.equal(echo.headers.authorization, "Bearer vendor-secret-value");
        assert.ok(!JSON.stringify(echo).includes(token.body.token));
      }
      await (await system.gateway("/api/nowhere", key)).arrayBuffer();

      const own = await eventually(
        async () => {
          const answer = await (await system.call("/api/usage/test-data", key)).json();
          return answer.total?.calls === 4 && answer;
        },
        10_000,
        "the calls being visible",
      );
      assert.equal(own.recent.length, 4);
      assert.equal(own.total.denied, 1);
      assert.deepEqual(new Set(own.recent.map((call) => call.outcome)), new Set(["ok", "denied-route"]));
      const stats = await as(system, "viewer", "GET", "/api/usage/stats");
      assert.deepEqual([stats.body.total.calls, stats.body.total.ok, stats.body.total.denied], [4, 3, 1]);
      assert.equal(stats.body.by_token[0].token_id, token.body.id);
      await assertStoredNowhere(system, [token.body.token, "vendor-secret-value"]);
    } finally {
      await system.stop();
    }
  });
}

/** No table, no single call, no KV value and no log line holds any of the secrets. */
async function assertStoredNowhere(system, secrets) {
  // Raw calls are compressed where they are stored.
  const texts = [
    ["logs", system.logs()],
    ["calls", JSON.stringify(await system.usage.events({}))],
  ];
  for (const [db, least] of [
    [system.db, 15],
    [system.usage.db, 7],
  ]) {
    const tables = (
      await db
        .prepare(
          "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'",
        )
        .all()
    ).results;
    assert.ok(tables.length > least);
    for (const { name } of tables)
      texts.push([
        `table ${name}`,
        JSON.stringify((await db.prepare(`SELECT * FROM ${name}`).all()).results),
      ]);
  }
  const { keys } = await system.kv.list();
  assert.ok(keys.length >= 2);
  for (const { name } of keys) texts.push([`KV ${name}`, name + (await system.kv.get(name))]);
  for (const [where, text] of texts)
    for (const secret of secrets) assert.ok(!text.includes(secret), `${where} holds a secret`);
}

let system;
before(async () => {
  system = await startOnSockets();
  await as(system, "admin", "POST", "/api/routes", {
    name: "Echo",
    path: "/api/echo",
    backend_url: `${system.upstream.url}/echo`,
  });
  await as(system, "admin", "POST", "/api/routes", {
    name: "Two",
    path: "/api/two",
    backend_url: `${system.upstream.url}/echo`,
  });
});
after(() => system?.stop());

const use = async (token, where = "/api/echo") => {
  const response = await system.gateway(where, { headers: { "x-api-key": token } });
  await response.arrayBuffer();
  return response.status;
};
const make = async (more = {}) => {
  const made = await as(system, "admin", "POST", "/api/tokens", {
    name: "t",
    team_id: "automation",
    scopes: ["echo", "two"],
    ...more,
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return made.body;
};
const seen = (token, wanted, where) =>
  eventually(async () => (await use(token, where)) === wanted, CACHE_BOUND_MS, `${wanted} at the gateway`);

test("revoke, disable, enable, scope cut and expiry by the API are in force at the gateway within the cache bound", async () => {
  const [revoked, disabled, cut] = [await make(), await make(), await make()];
  for (const { token } of [revoked, disabled, cut]) await seen(token, 200);
  const gone = await as(system, "admin", "DELETE", `/api/tokens/${revoked.id}`);
  assert.deepEqual([gone.status, gone.body.state, gone.body.propagation], [200, "revoked", "published"]);
  await as(system, "admin", "POST", `/api/tokens/${disabled.id}/disable`);
  await as(system, "admin", "PUT", `/api/tokens/${cut.id}`, { scopes: ["two"] });
  await Promise.all([seen(revoked.token, 401), seen(disabled.token, 401), seen(cut.token, 403)]);
  assert.equal(await use(cut.token, "/api/two"), 200);
  await as(system, "admin", "POST", `/api/tokens/${disabled.id}/enable`);
  await seen(disabled.token, 200);
  const again = await as(system, "admin", "POST", `/api/tokens/${revoked.id}/enable`);
  assert.equal(again.status, 409, "revocation is permanent");
});

test("rotation with grace: both secrets work, then one", async () => {
  const token = await make();
  await seen(token.token, 200);
  const rotated = await as(system, "admin", "POST", `/api/tokens/${token.id}/rotate`, { grace_hours: 1 });
  assert.equal(rotated.status, 201, JSON.stringify(rotated.body));
  assert.equal(rotated.body.id, token.id);
  assert.deepEqual([await use(token.token), await use(rotated.body.token)], [200, 200]);
  const inUse = async () =>
    (await as(system, "admin", "GET", `/api/tokens/${token.id}/secrets`)).body.items.map(
      (secret) => secret.last_used_at,
    );
  await eventually(
    async () => (await inUse()).every((at) => at > 0),
    10_000,
    "the use of both secrets being seen",
  );
  const third = await as(system, "admin", "POST", `/api/tokens/${token.id}/rotate`, { grace_hours: 0 });
  await Promise.all([seen(token.token, 401), seen(rotated.body.token, 401), seen(third.body.token, 200)]);
  const secrets = await as(system, "admin", "GET", `/api/tokens/${token.id}/secrets`);
  assert.equal(secrets.body.items.length, 3);
  assert.equal(secrets.body.items.filter((secret) => secret.ends_at === null).length, 1);
});

test("a route's change and deletion reach the gateway", async () => {
  const token = await make({ scopes: ["*"] });
  const route = await as(system, "admin", "POST", "/api/routes", {
    name: "Short",
    path: "/api/short",
    backend_url: `${system.upstream.url}/echo`,
  });
  await seen(token.token, 200, "/api/short");
  await as(system, "admin", "PUT", `/api/routes/${route.body.id}`, { methods: ["POST"] });
  await seen(token.token, 405, "/api/short");
  await as(system, "admin", "DELETE", `/api/routes/${route.body.id}`);
  await seen(token.token, 404, "/api/short");
});

/** An event as the gateway sends it. */
const event = (id, more = {}) => ({
  id,
  at: Date.now(),
  token_id: "tok_counted",
  team: "automation",
  route_id: "rte_x",
  route_path: "/api/x",
  path: "/api/x/1",
  method: "GET",
  status: 200,
  outcome: "ok",
  latency_ms: 12,
  gateway_ms: 1,
  request_id: "req_1",
  ...more,
});

test("a batch delivered twice, out of order and with garbage in it counts every message once", async () => {
  const message = (id, ...ids) => ({ id, body: JSON.stringify({ v: 1, events: ids.map((e) => event(e)) }) });
  const batch = [
    message("m1", "e1", "e2"),
    { id: "m2", body: "no JSON at all" },
    message("m3", "e3"),
    { id: "m4", body: { v: 99 } },
    message("m5", "e4"),
  ];
  await system.deliver(batch);
  await system.deliver([...batch].reverse());
  await Promise.all([system.deliver([batch[4], batch[0]]), system.deliver([batch[2]])]);
  const stats = await as(system, "admin", "GET", "/api/usage/stats?token_id=tok_counted");
  assert.deepEqual([stats.body.total.calls, stats.body.total.ok], [4, 4]);
  const raw = await system.usage.events({ token_id: "tok_counted" });
  assert.deepEqual(raw.map(({ id }) => id).sort(), ["e1", "e2", "e3", "e4"]);
});
