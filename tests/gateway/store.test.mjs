// The gateway with KV and the queue: bounds of the cache, values of the earlier system, and failures of a
// store.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";
import { mintLegacyToken, mintToken, sha256 } from "../support/tokens.mjs";

/** Ten seconds of cache, and a second for the machine. */
const CACHE_BOUND_MS = 11_000;
/** The half minute for which the change feed counts as a read, and a cache that is not refreshed since. */
const UNTOLD_BOUND_MS = 30_000 + CACHE_BOUND_MS;

const start = () =>
  startOnSockets({
    faults: true,
    gatewayVars: { OPENAI_API_KEY: "from-worker-secret", STALE_MAX_S: "25", FEED_POLL_MS: "0" },
    versions: [{ name: "fed", vars: { FEED_POLL_MS: "2000" } }],
  });
let system;
let untold;
before(async () => {
  system = await start();
});
after(() => system?.stop());

const use = (token, where = "/api/echo", headers = {}) =>
  system.gateway(where, { headers: { "x-api-key": token, ...headers } });
const status = async (token, where) => {
  const response = await use(token, where);
  await response.arrayBuffer();
  return response.status;
};

test("without a route table calls get Routes Not Configured", async () => {
  const token = await putToken(system);
  const response = await use(token);
  assert.deepEqual([response.status, (await response.json()).error], [500, "Routes Not Configured"]);
  await putRoutes(system, [
    ["/api/echo", "/echo"],
    ["/api/other", "/echo"],
  ]);
  await eventually(async () => (await status(token)) === 200, CACHE_BOUND_MS, "the first table being seen");
});

test("the change feed's word that nothing has changed spares KV reads", async () => {
  const token = await putToken(system);
  const call = async () => {
    const headers = { "x-api-key": token };
    return (await fetch(`${system.versions.fed.gateway}/api/echo`, { headers })).status;
  };
  const reads = async () => (await system.faults("gateway-fed")).counts.kv_get;
  const readsOfCalls = async (ms) => {
    assert.equal(await call(), 200);
    const before = await reads();
    for (const started = Date.now(); Date.now() - started < ms; await sleep(200))
      assert.equal(await call(), 200);
    return (await reads()) - before;
  };
  assert.ok((await readsOfCalls(CACHE_BOUND_MS)) > 0, "no admin API tells the feed of changes");
  await system.feed({ glance: {} });
  await sleep(2_000);
  assert.equal(await readsOfCalls(15_000), 0);
  // The feed is not told of this.
  const key = `token:${sha256(token)}`;
  await system.kv.put(
    key,
    JSON.stringify({ ...(await system.kv.get(key, "json")), state: "revoked", version: 2 }),
  );
  untold = (async () => {
    const started = Date.now();
    while ((await call()) === 200 && Date.now() - started < 2 * UNTOLD_BOUND_MS) await sleep(200);
    return Date.now() - started;
  })();
});

test("a forged token costs no KV read, nor does a legacy one while the table rules them out", async () => {
  await status(await putToken(system));
  const before = (await system.faults("gateway")).counts.kv_get;
  for (let i = 0; i < 50; i++)
    assert.equal(await status(mintToken(Buffer.alloc(32, i).toString("base64"))), 401);
  for (let i = 0; i < 50; i++) assert.equal(await status(mintLegacyToken()), 401);
  assert.ok((await system.faults("gateway")).counts.kv_get - before <= 1, "at most the table's own refresh");
});

const reads = async () => (await system.faults("gateway")).counts.kv_get;

test("a flood of one refused token costs at most one KV read a second, and it stays refused", async () => {
  const token = await putToken(system, { state: "revoked" });
  assert.equal(await status(token), 401);
  const [before, started] = [await reads(), Date.now()];
  let calls = 0;
  while (Date.now() - started < 3_500) {
    assert.deepEqual([...new Set(await Promise.all(Array.from({ length: 10 }, () => status(token))))], [401]);
    calls += 10;
  }
  const [spent, seconds] = [(await reads()) - before, (Date.now() - started) / 1_000];
  // The route table may also be read again in the background.
  assert.ok(
    calls >= 100 && spent >= 2 && spent <= seconds + 2,
    `${spent} reads, ${calls} calls, ${seconds} s`,
  );
});

test("a flood of calls to a path without a route costs at most one KV read a second", async () => {
  const token = await putToken(system);
  await status(token);
  const [before, started] = [await reads(), Date.now()];
  for (let calls = 0; Date.now() - started < 3_500; calls++)
    assert.equal(await status(token, `/nowhere/${calls}`), 404);
  const [spent, seconds] = [(await reads()) - before, (Date.now() - started) / 1_000];
  assert.ok(spent >= 2 && spent <= seconds + 2, `${spent} reads in ${seconds} s`);
});

test("a refusal because of an older value is checked again: the first call after a change is served", async () => {
  const [disabled, cut, unknown, moved] = [
    await putToken(system, { state: "disabled" }),
    await putToken(system, { scopes: ["other"] }),
    mintToken(system.secrets.TOKEN_CHECK_KEY),
    await putToken(system),
  ];
  const all = () =>
    Promise.all([
      status(disabled),
      status(cut),
      status(unknown),
      status(moved, "/api/later"),
      status(moved, "/api/other"),
    ]);
  assert.deepEqual(await all(), [401, 403, 401, 404, 200]);
  await sleep(1_100);
  await putToken(system, { version: 2 }, disabled);
  await putToken(system, { version: 2 }, cut);
  await putToken(system, {}, unknown);
  await putRoutes(
    system,
    [
      ["/api/echo", "/echo"],
      ["/api/other", "/echo"],
      ["/api/later", "/echo"],
    ],
    { version: 9 },
  );
  assert.deepEqual(await all(), [200, 200, 200, 200, 200]);
});

test("a refused token is not admitted when KV fails meanwhile", async () => {
  const token = await putToken(system, { state: "revoked" });
  assert.equal(await status(token), 401);
  await sleep(1_100);
  await system.faults("gateway", { kv_get: { fail: true } });
  try {
    for (let i = 0; i < 5; i++) assert.equal(await status(token), 401);
  } finally {
    await system.faults("gateway", { kv_get: null });
  }
});

test("a warm token costs at most 0.05 KV reads a call", async () => {
  const token = await putToken(system);
  await status(token);
  const before = (await system.faults("gateway")).counts.kv_get;
  for (let i = 0; i < 200; i++) assert.equal(await status(token), 200);
  assert.ok((await system.faults("gateway")).counts.kv_get - before <= 10);
});

test("revoke, disable, scope cut, expiry and route change are in force within the cache bound", async () => {
  const tokens = await Promise.all(Array.from({ length: 4 }, () => putToken(system)));
  for (const token of tokens) assert.equal(await status(token), 200);
  const [revoked, disabled, cut, expiring] = tokens;
  await putToken(system, { state: "revoked", version: 2 }, revoked);
  await putToken(system, { state: "disabled", version: 2 }, disabled);
  await putToken(system, { scopes: ["other"], version: 2 }, cut);
  await putToken(system, { expires_at: Date.now() + 2_000, version: 2 }, expiring);
  await putRoutes(
    system,
    [
      ["/api/echo", "/echo"],
      ["/api/other", "/echo"],
      ["/api/new", "/echo"],
    ],
    { version: 10 },
  );
  const fresh = await putToken(system);
  const seen = (token, where, wanted) =>
    eventually(async () => (await status(token, where)) === wanted, CACHE_BOUND_MS, `${where} ${wanted}`);
  await Promise.all([
    seen(revoked, "/api/echo", 401),
    seen(disabled, "/api/echo", 401),
    seen(cut, "/api/echo", 403),
    seen(expiring, "/api/echo", 401),
    seen(fresh, "/api/new", 200),
  ]);
  assert.equal(await status(cut, "/api/other"), 200, "what was left of the scopes");
});

test("an older table or record that KV shows after a newer one is passed over", async () => {
  const token = await putToken(system);
  const revoked = await putToken(system, { state: "revoked", version: 2 });
  assert.deepEqual([await status(token, "/api/new"), await status(revoked)], [200, 401]);
  await putRoutes(system, [["/api/echo", "/echo"]], { version: 9 });
  await putToken(system, {}, revoked);
  await sleep(CACHE_BOUND_MS);
  assert.deepEqual([await status(token, "/api/new"), await status(revoked)], [200, 401]);
});

test("KV down: a cached token serves, an uncached one gets 503, a revoked one is refused", async () => {
  const [cached, revoked] = await Promise.all([putToken(system), putToken(system, { state: "revoked" })]);
  const uncached = await putToken(system);
  assert.deepEqual([await status(cached), await status(revoked)], [200, 401]);
  await system.faults("gateway", { kv_get: { fail: true } });
  try {
    const refused = await use(uncached);
    const text = await refused.text();
    assert.deepEqual([refused.status, JSON.parse(text).error], [503, "Store Unavailable"]);
    assert.doesNotMatch(text, /secret-inner-text/);
    await sleep(CACHE_BOUND_MS);
    assert.equal(await status(cached), 200, "past the cache's age, within STALE_MAX_S");
    assert.notEqual(await status(revoked), 200);
    await sleep(16_000);
    assert.equal(await status(cached), 503, "past STALE_MAX_S");
  } finally {
    await system.faults("gateway", { kv_get: null });
  }
  await eventually(async () => (await status(cached)) === 200, 3_000, "service after KV is back");
});

test("KV slow: an uncached call waits, a cached one does not, and a read that takes too long is 503", async () => {
  const cached = await putToken(system);
  assert.equal(await status(cached), 200);
  const [waits, gives] = [await putToken(system), await putToken(system)];
  const took = async (token) => {
    const started = Date.now();
    return [await status(token), Date.now() - started];
  };
  try {
    await system.faults("gateway", { kv_get: { delay_ms: 2_000 } });
    const [[late, lateMs], [quick, quickMs]] = await Promise.all([took(waits), took(cached)]);
    assert.deepEqual([late, quick], [200, 200]);
    assert.ok(lateMs >= 1_900 && quickMs < 1_000, `${lateMs} and ${quickMs} ms`);
    await system.faults("gateway", { kv_get: { delay_ms: 20_000 } });
    const [refused, refusedMs] = await took(gives);
    assert.deepEqual([refused, refusedMs < 9_000], [503, true]);
  } finally {
    await system.faults("gateway", { kv_get: {} });
  }
  assert.equal(await status(gives), 200, "the next call is fine");
});

test("KV slow: a response that has come is not held back for it, however long the call took", async () => {
  const routes = JSON.parse(await system.kv.get("routes"));
  const settings = { cors_origins: ["https://app.example"], timeout_ms: 30_000 };
  routes.routes.push({ id: "rte_long", path: "/api/long", url: `${system.upstream.url}/slow`, ...settings });
  await system.kv.put("routes", JSON.stringify({ ...routes, version: routes.version + 1 }));
  const token = await putToken(system);
  await eventually(async () => (await status(token, "/api/long?ms=1")) === 200);
  const started = Date.now();
  const slow = use(token, "/api/long?ms=11000", { origin: "https://app.example" });
  try {
    await sleep(8_000);
    await system.faults("gateway", { kv_get: { delay_ms: 4_500 } });
    assert.equal((await slow).status, 200);
    const took = Date.now() - started;
    assert.ok(took < 13_500, `${took} ms`);
  } finally {
    await system.faults("gateway", { kv_get: {} });
  }
});

test("queue down: calls are served and dropped events are counted", async () => {
  const token = await putToken(system);
  await system.faults("gateway", { queue: { fail: true } });
  for (let i = 0; i < 5; i++) assert.equal(await status(token), 200);
  // In one flush or in several.
  const logged = () =>
    [...system.logs().matchAll(/"(\d+) events: .*usage events dropped/g)].reduce(
      (sum, [, events]) => sum + Number(events),
      0,
    );
  await eventually(() => logged() >= 5, 10_000, "the drop being logged");
  await system.faults("gateway", { queue: null });
  assert.equal(await status(token), 200);
  const dropped = async () => (await system.usage.losses()).dropped;
  await eventually(async () => (await dropped()) === logged(), 10_000, "the whole drop reaching D1");
});

test("a change that the feed was not told is in force 40 s after KV shows it", async (t) => {
  const ms = await untold;
  t.diagnostic(`${ms} ms`);
  assert.ok(ms < UNTOLD_BOUND_MS, `${ms} ms`);
});

test("v1 values serve calls unchanged", async () => {
  // Where no table with a version is known.
  await system.stop();
  system = await start();
  const token = mintLegacyToken();
  const record = {
    name: "old",
    department: "ops",
    scopes: ["openai", "tag:demo"],
    created_at: "2025-11-01T00:00:00",
    expires_at: null,
  };
  await system.kv.put(`token:${sha256(token)}`, JSON.stringify(record));
  const ended = mintLegacyToken();
  await system.kv.put(
    `token:${sha256(ended)}`,
    JSON.stringify({ ...record, expires_at: "2025-12-01T00:00:00" }),
  );
  const unscoped = mintLegacyToken();
  await system.kv.put(`token:${sha256(unscoped)}`, JSON.stringify({ name: "old", team_id: "ops" }));
  const base = system.upstream.url;
  await system.kv.put("secret:KV_KEY", JSON.stringify({ value: "from-kv" }));
  await system.kv.put(
    "routes",
    JSON.stringify({
      "/api/openai": {
        url: `${base}/echo`,
        tags: ["ai"],
        auth: { type: "bearer", config: { token_ref: "OPENAI_API_KEY" } },
      },
      "/api/key": {
        url: `${base}/echo`,
        tags: ["demo"],
        auth: { type: "api-key", config: { key_ref: "KV_KEY" } },
      },
      "/api/missing": {
        url: `${base}/echo`,
        tags: ["demo"],
        auth: { type: "bearer", config: { token_ref: "NOWHERE" } },
      },
      "/api/thief": {
        url: `${base}/echo`,
        tags: ["demo"],
        auth: { type: "bearer", config: { token_ref: "CREDENTIAL_KEY" } },
      },
      "/api/old": `${base}/echo`,
    }),
  );
  const echo = async (where) => (await use(token, where)).json();
  await eventually(
    async () => (await status(token, "/api/openai")) === 200,
    CACHE_BOUND_MS,
    "the v1 table being seen",
  );
  assert.equal((await echo("/api/openai/x")).headers.authorization, "Bearer from-worker-secret");
  assert.equal((await echo("/api/key")).headers["x-api-key"], "from-kv");
  assert.equal(await status(token, "/api/old"), 403, "a scope that does not cover it");
  assert.equal(await status(token, "/api/missing"), 502, "never sent without its credential");
  assert.equal(await status(token, "/api/thief"), 502, "the Workers' own secrets cannot be named");
  assert.equal(await status(ended, "/api/openai"), 401);
  assert.equal(await status(unscoped, "/api/openai"), 403, "no scopes grant nothing");
});
