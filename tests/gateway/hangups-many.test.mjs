// Thousands of clients that hang up at random moments: each call that reached its upstream leaves one event, nothing
// stays held, and the gateway's memory stays flat.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, putRoutes, putToken, runtimeMemory, startOnSockets } from "../support/harness.mjs";
import { startPatient } from "../support/patient.mjs";

/** Hang-ups of the memory's test. */
const HANG_UPS = Number(process.env.HANG_UPS ?? 10_000);
const MIB = 1 << 20;

let system;
let patient;
before(async () => {
  [system, patient] = await Promise.all([startOnSockets(), startPatient()]);
  await system.kv.put("prices", '{"v":1,"prices":{"demo-1":{"prompt":1000000,"completion":2000000}}}');
  await putRoutes(system, [
    ["/api/echo", "/echo"],
    ["/api/plain", patient.url],
    ["/api/ai", patient.url, { settings: { ai: { provider: "openai" } } }],
  ]);
  const token = await putToken(system);
  await eventually(async () => (await served(token)) === 200);
});
after(async () => {
  await system?.stop();
  await patient?.close();
});

async function served(token) {
  const response = await system.gateway("/api/echo", { headers: { "x-api-key": token } });
  await response.text();
  return response.status;
}

async function isFine() {
  const token = await putToken(system);
  const statuses = await Promise.all(Array.from({ length: 30 }, () => served(token)));
  assert.deepEqual([...new Set(statuses)], [200]);
  const lines = system.logs().split("\n");
  assert.deepEqual(
    lines.filter((line) => /Uncaught|Critical|panicked/.test(line)),
    [],
  );
}

const ask = { method: "POST", body: '{"model":"demo-1","max_tokens":5}' };
const BUDGET = { cost_micros_per_day: 500_000_000, ai_tokens_per_day: 100_000_000 };
/** @type {[string, string, any?, any?][]} */
const KINDS = [
  ["plain", "/api/plain"],
  ["rate", "/api/plain", { calls_per_minute: 10_000 }],
  ["slots", "/api/plain", { concurrent_calls: 100 }],
  ["budget", "/api/ai/v1/chat/completions", BUDGET, ask],
];
const RESPONSES = { whole: "?head_ms=20", pieces: "?head_ms=10&pieces=5&every_ms=8" };

/**
 * Makes 250 calls of one kind: their token, its limits, and by call its id and what its client saw.
 * @param {[string, string, any?, any?]} kind
 * @param {[string, string]} response
 */
async function group([kind, where, limits, init], [name, query]) {
  const id = `tok_many_${kind}_${name}`;
  const ids = `many-${kind}-${name}-`;
  const token = await putToken(system, { id, ...(limits && { limits }) });
  const headers = { "x-api-key": token };
  const many = { calls: 250, atOnce: 6, withinMs: 60, ids };
  const seen = await system.hangUps(where + query, { ...init, headers }, many);
  return { id, limits, calls: seen.map((call, i) => ({ ...call, id: ids + i })) };
}

/** Whether the events of a call fit what its client saw. The runtime may be told of a hang-up a little late. */
function fits({ id, status, hung_up }, events) {
  const wasSent = patient.calls.has(id);
  const texts = events.map((event) => `${event.outcome} ${event.status}`);
  if (texts.length === 0) return !wasSent && hung_up;
  const allowed = hung_up ? ["client-gone 499", "client-gone 200", "ok 200"] : ["ok 200"];
  return texts.length === 1 && allowed.includes(texts[0]) && !(status === 200 && texts[0].endsWith("499"));
}

test("2,000 hang-ups at random moments: one event each, nothing held, and the gateway is fine", async (t) => {
  const pairs = KINDS.flatMap((kind) =>
    Object.entries(RESPONSES).map((response) => /** @type {const} */ ([kind, response])),
  );
  await system.faults("gateway", { limiter: { delay_ms: 8, late_ms: 8 } });
  const groups = await Promise.all(pairs.map(([kind, response]) => group(kind, response)));
  await system.faults("gateway", { limiter: {} });
  const gone = groups.flatMap(({ calls }) => calls).filter((call) => call.hung_up).length;
  t.diagnostic(`${gone} of 2,000 hung up, ${patient.calls.size} reached the upstream`);
  assert.ok(gone > 500 && gone < 1_900, `${gone} hung up`);
  let wrong;
  const state = async ({ id, limits, calls }) => {
    const events = Object.groupBy(await system.usage.events({ token_id: id }), (row) => row.request_id);
    const uses = limits ? await system.uses(id, limits) : [];
    const held = uses.reduce((sum, use) => sum + use.reserved, 0);
    const unfit = calls.filter((call) => !fits(call, events[call.id] ?? []));
    const first =
      unfit[0] && JSON.stringify({ ...unfit[0], events: events[unfit[0].id]?.map((e) => e.outcome) });
    return held > 0 || first ? [`${id}: ${held} held, ${unfit.length} calls such as ${first}`] : [];
  };
  const check = async () => (wrong = (await Promise.all(groups.map(state))).flat()).length === 0;
  await eventually(check, 10_000).catch(() => assert.deepEqual(wrong, []));
  await isFine();
});

test("memory stays flat over thousands of hang-ups", async (t) => {
  const headers = { "x-api-key": await putToken(system, { id: "tok_many_memory" }) };
  const silent = async (ids) => {
    const many = { calls: 500, atOnce: 50, withinMs: 20, ids };
    await system.hangUps("/api/plain?silent", { headers }, many);
    patient.calls.clear();
    patient.heard.length = 0;
    return (await system.wasm()).memory;
  };
  const half = async (name) => {
    for (let i = 0; i < HANG_UPS / 1_000; i++) {
      const grew = (await silent(`${name}-${i}-`)) - warm;
      assert.ok(grew < MIB, `wasm grew by ${grew} bytes in ${i * 500} hang-ups of the ${name} half`);
    }
    return runtimeMemory();
  };
  let warm = 0;
  for (let i = 0; i < 4; i++) warm = await silent(`warm-up-${i}-`);
  const [first, second] = [await half("first"), await half("second")];
  const each = (second - first) / (HANG_UPS / 2);
  t.diagnostic(`wasm ${warm / MIB} MiB; the process ${first / MIB} MiB, then ${each / 1_024} KiB a hang-up`);
  // JavaScript is collected late, and the local stores are in the same process.
  assert.ok(each < 64 * 1_024, `the process grew by ${each} bytes a hang-up`);
  await isFine();
});
