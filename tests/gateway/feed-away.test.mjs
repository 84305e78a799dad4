// The change feed erroring, slow or silent: no call fails for it, changes take as long as KV does, health says so, and
// all is in order afterwards. FEED_AWAY_MINUTES keeps it away for longer.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, eventually, sleep, startOnSockets } from "../support/harness.mjs";
import { sha256 } from "../support/tokens.mjs";

/** What KV alone takes here: half a second until it shows a change, ten of the isolates' cache, and one to spare. */
const KV_BOUND_MS = 11_500;
const FEED_BOUND_MS = 5_000;
/** A call waits for a quarter of a second at most; the rest is the machine's. */
const MOST_WAIT_MS = 1_200;
const AWAY_MS = Number(process.env.FEED_AWAY_MINUTES ?? 0) * 60_000;

let system;
let isolates;
let steady;

before(async () => {
  system = await startOnSockets({ gatewayVars: { LOG_CALLS: "true" }, versions: [{ name: "two" }] });
  isolates = [system.urls.gateway, system.versions.two.gateway];
  const backend_url = `${system.upstream.url}/echo`;
  assert.equal(
    (await change("POST", "/api/routes", { name: "Echo", path: "/api/echo", backend_url })).status,
    201,
  );
  steady = await newToken();
  await everywhere(200, steady.token);
});
after(() => system?.stop());

const change = (method, where, body) => as(system, "admin", method, where, body);
const newToken = async () =>
  (await change("POST", "/api/tokens", { name: "t", team_id: "automation", scopes: ["*"] })).body;

async function call(url, token) {
  const response = await fetch(`${url}/api/echo`, { headers: { "x-api-key": token } });
  await response.arrayBuffer();
  return response.status;
}

/** Calls until every isolate responds with this status. Returns the time that it took. */
async function everywhere(status, token) {
  const started = Date.now();
  for (const url of isolates)
    await eventually(async () => (await call(url, token)) === status, 20_000, `status ${status}`);
  return Date.now() - started;
}

/** Calls every isolate all the time. `stop` returns the statuses and the longest time. */
function load() {
  let isOver = false;
  const statuses = new Set();
  let longest = 0;
  const callers = isolates.map(async (url) => {
    while (!isOver) {
      const at = Date.now();
      statuses.add(await call(url, steady.token));
      longest = Math.max(longest, Date.now() - at);
      await sleep(20);
    }
  });
  return {
    stop: async () => {
      isOver = true;
      await Promise.all(callers);
      return { statuses: [...statuses], longest };
    },
  };
}

const setFeed = (fault) =>
  Promise.all(["gateway", "gateway-two", "api"].map((name) => system.faults(name, { feed: fault })));

const healthOf = async () => {
  const { checks } = await (await system.call("/health/detailed")).json();
  return checks.find(({ name }) => name === "feed")?.status;
};
const isAway = async (url) => (await (await fetch(`${url}/health`)).json()).feed === "away";
const unconfirmed = () => system.logs().split('"feed":"unconfirmed"').length - 1;

const FAULTS = {
  erroring: { fault: { fail: true }, revoked: 202, health: "degraded" },
  "slow, at two seconds a request,": { fault: { delay_ms: 2_000 }, revoked: 200, health: "ok" },
  silent: { fault: { delay_ms: 60_000 }, revoked: 202, health: "degraded" },
};

for (const [how, { fault, revoked, health }] of Object.entries(FAULTS)) {
  test(`while the feed is ${how} calls go on and KV's bounds hold`, async (t) => {
    let { id, token } = await newToken();
    await everywhere(200, token);
    const before = unconfirmed();
    await setFeed(fault);
    // Nothing is confirmed any more.
    await sleep(6_000);
    const background = load();
    await sleep(1_000);
    if (revoked === 202) for (const url of isolates) assert.ok(await isAway(url), "the isolate's own health");
    const took = [];
    for (const until = Date.now() + AWAY_MS; ;) {
      const answer = await change("DELETE", `/api/tokens/${id}`);
      assert.equal(answer.status, revoked, JSON.stringify(answer.body));
      took.push(await everywhere(401, token));
      if (Date.now() >= until) break;
      ({ id, token } = await newToken());
      took.push(await everywhere(200, token));
    }
    const { statuses, longest } = await background.stop();
    t.diagnostic(`changes took ${took} ms; the longest of the other calls ${longest} ms`);
    assert.deepEqual(statuses, [200]);
    assert.ok(Math.max(...took) < KV_BOUND_MS, `${took} ms`);
    assert.ok(longest < MOST_WAIT_MS, `${longest} ms`);
    assert.ok(unconfirmed() > before, "calls are marked in their log lines");
    await eventually(async () => (await healthOf()) === health, 25_000, `health: ${health}`);

    await setFeed(null);
    await eventually(
      async () => {
        await system.cron();
        return (await change("GET", "/api/publication")).body.pending === 0;
      },
      30_000,
      "the outbox is empty",
    );
    await eventually(async () => (await healthOf()) === "ok", 25_000, "health: ok");
    const next = await newToken();
    await everywhere(200, next.token);
    assert.equal((await change("DELETE", `/api/tokens/${next.id}`)).status, 200);
    const then = await everywhere(401, next.token);
    t.diagnostic(`${then} ms once it is there again`);
    assert.ok(then < FEED_BOUND_MS, `${then} ms`);
    for (const url of isolates) assert.ok(!(await isAway(url)), "the isolate's own health");
  });
}

test("a call that finds nothing confirmed waits for the longer of KV and feed, not for both", async (t) => {
  const delay_ms = 200;
  await setFeed({ delay_ms });
  await system.faults("gateway", { kv_get: { delay_ms } });
  const took = [];
  for (let round = 0; round < 2; round++) {
    // Longer than a value from KV serves.
    await sleep(10_500);
    const started = Date.now();
    assert.equal(await call(isolates[0], steady.token), 200);
    took.push(Date.now() - started);
  }
  await setFeed(null);
  await system.faults("gateway", { kv_get: null });
  t.diagnostic(`${took.join(" and ")} ms`);
  assert.ok(Math.min(...took) >= delay_ms - 5, "it did wait");
  assert.ok(Math.min(...took) < 2 * delay_ms - 10, `${took} ms`);
});

test("the comparison with D1 repairs what the feed holds", async () => {
  const { id, token } = await newToken();
  assert.equal((await change("DELETE", `/api/tokens/${id}`)).status, 200);
  const hash = sha256(token);
  const held = async () => (await system.feed({ glance: { tokens: [hash] } })).tokens[0][1];
  const right = await held();
  assert.match(right.text, /"revoked"/);
  // Somebody brings the token back to life, in the same version.
  const wrong = { ...right, text: right.text.replace('"revoked"', '"active"') };
  await system.feed({ append: { tokens: [[hash, wrong]] } });
  assert.deepEqual(await held(), wrong);
  await system.db.prepare("UPDATE tokens SET updated_at = updated_at - 600000 WHERE id = ?").bind(id).run();
  const found = [];
  let cursor;
  do {
    const { body, status } = await change("POST", "/api/publication/reconcile", { repair: true, cursor });
    assert.equal(status, 200, JSON.stringify(body));
    found.push(...body.drift);
    cursor = body.next_cursor;
  } while (cursor);
  assert.deepEqual(found, [{ kind: "different", subject: id, repaired: true }]);
  assert.deepEqual(await held(), right);
});
