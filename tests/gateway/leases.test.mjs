// Leases on the real runtime: how often a busy token meets its object, and that neither a token's nor a team's limits
// are passed, whatever restarts.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";

let system;
before(async () => {
  system = await startOnSockets({ faults: true });
  await putRoutes(system, [["/api/echo", "/echo"]]);
  const token = await putToken(system);
  await eventually(async () => (await call(token)).status === 200);
});
after(() => system?.stop());

const call = async (token, where = "/api/echo", init = {}) => {
  const response = await system.gateway(where, { ...init, headers: { "x-api-key": token, ...init.headers } });
  return { status: response.status, headers: response.headers, text: await response.text() };
};
const limited = (limits, more = {}) => putToken(system, { limits, ...more });
const left = (answer) => Number(/r=(\d+)/.exec(answer.headers.get("ratelimit"))[1]);

/** Object requests and rows written, a call, at an even pace. */
async function costOf(token, perSecond, seconds) {
  const before = (await system.faults("gateway")).counts;
  const calls = [];
  const start = Date.now();
  for (let i = 0; i < perSecond * seconds; i++) {
    const wait = start + (i * 1_000) / perSecond - Date.now();
    if (wait > 0) await sleep(wait);
    calls.push(call(token));
  }
  const answers = await Promise.all(calls);
  assert.ok(answers.every(({ status }) => status === 200));
  const { counts } = await system.faults("gateway");
  const of = (kind) => (counts[kind] - before[kind]) / answers.length;
  return { requests: of("limiter"), rows: of("limiter_rows_written") };
}

const PACES = [
  { perSecond: 1, seconds: 30, requests: 0.6, rows: 0.25 },
  { perSecond: 10, seconds: 30, requests: 0.15, rows: 0.06 },
  { perSecond: 100, seconds: 20, requests: 0.04, rows: 0.01 },
];
for (const { perSecond, seconds, ...most } of PACES)
  test(`a token with ${perSecond} calls a second seldom meets its object`, async () => {
    const token = await limited({ calls_per_day: 1_000_000, concurrent_calls: 1_000 });
    await costOf(token, perSecond, 4);
    const found = await costOf(token, perSecond, seconds);
    assert.ok(found.requests <= most.requests && found.rows <= most.rows, JSON.stringify(found));
  });

test("by lease as well, a response tells what is left", async () => {
  const token = await limited({ calls_per_day: 1_000 });
  const before = (await system.faults("gateway")).counts.limiter;
  for (let i = 1; i <= 60; i++) {
    const answer = await call(token);
    assert.equal(left(answer), 1_000 - i);
    await sleep(20);
  }
  const asked = (await system.faults("gateway")).counts.limiter - before;
  assert.ok(asked < 30, String(asked));
});

test("a limit admits exactly its number of calls, also after leases", async () => {
  const token = await limited({ calls_per_minute: 200 }, { id: "tok_exact" });
  let admitted = 0;
  const one = async () => {
    const { status } = await call(token);
    if (status === 200) admitted += 1;
  };
  for (let i = 0; i < 120; i++) {
    await one();
    await sleep(10);
  }
  await fetch(`${system.urls.gateway}/__restart/tok_exact`);
  await Promise.all(Array.from({ length: 200 }, one));
  // A restart may have written down a block of a twentieth too much.
  assert.ok(admitted <= 200 && admitted >= 185, String(admitted));
});

test("a lease lets calls in while the object is away, and what it cannot count is refused where that is asked for", async () => {
  const token = await limited({ calls_per_day: 10_000, on_limit_failure: "deny" });
  for (let i = 0; i < 40; i++) {
    assert.equal((await call(token)).status, 200);
    await sleep(20);
  }
  await system.faults("gateway", { limiter: { fail: true } });
  try {
    assert.equal((await call(token)).status, 200, "its permit was counted before");
    await sleep(2_500);
    assert.equal((await call(token)).status, 503);
  } finally {
    await system.faults("gateway", { limiter: {} });
  }
  assert.equal((await call(token)).status, 200);
});

test("what was reserved for a call whose counter was too slow is free again", async () => {
  const token = await limited({ concurrent_calls: 1 });
  assert.equal((await call(token)).status, 200);
  await sleep(300);
  await system.faults("gateway", { limiter: { delay_ms: 2_500 } });
  try {
    assert.equal((await call(token)).status, 200, "let through without being counted");
  } finally {
    await system.faults("gateway", { limiter: {} });
  }
  await eventually(async () => (await call(token)).status === 200, 12_000, "the slot being free");
});
