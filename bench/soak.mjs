// `npm run soak -- [--minutes 10] [--clients 16] [--json]`: mixed load on the whole system: plain calls, uploads,
// streams, AI calls under a budget, refused calls, failing upstreams, clients that hang up. Fails on an
// unexpected response, if the runtime's memory grew, or unless D1 has exactly one event for each call.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import {
  eventually,
  putRoutes,
  putToken,
  runtimeMemory,
  sleep,
  startOnSockets,
} from "../tests/support/harness.mjs";

const { values: options } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    clients: { type: "string", default: "16" },
    json: { type: "boolean", default: false },
  },
});
const MIB = 1 << 20;
/** The most that the runtime's memory may grow in the second half; its own garbage varies within this. */
const FLAT = 150 * MIB;
/** A shorter run consists only of warming up. */
const WARM_MINUTES = 2;

// On disk, so that D1's data is not part of the runtime's memory.
const folder = mkdtempSync(path.join(tmpdir(), "soak-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const system = await startOnSockets({ persist: folder });
const ids = { plain: "tok_soak_plain", limited: "tok_soak_limited", narrow: "tok_soak_narrow" };
const tokens = {
  plain: await putToken(system, { id: ids.plain }),
  limited: await putToken(system, {
    id: ids.limited,
    limits: { calls_per_day: 1e9, concurrent_calls: 1000, cost_micros_per_month: 1e12 },
  }),
  narrow: await putToken(system, { id: ids.narrow, scopes: ["other"] }),
};
await system.kv.put(
  "prices",
  JSON.stringify({ v: 1, prices: { "demo-1": { prompt: 1e6, completion: 2e6 } } }),
);
await putRoutes(system, [
  ["/api/echo", "/echo"],
  ["/api/sink", "/sink"],
  ["/api/stream", "/stream"],
  ["/api/bytes", "/bytes"],
  ["/api/status", "/status"],
  ["/api/reset", "/reset"],
  ["/api/openai", "/v1", { settings: { ai: { provider: "openai", include_usage: true } } }],
]);
await eventually(
  async () => (await system.gateway("/api/echo", { headers: { "x-api-key": tokens.plain } })).status === 200,
);

const made = { [ids.plain]: 1, [ids.limited]: 0, [ids.narrow]: 0 };
const kinds = {};
const wrong = [];

async function call(kind, token, where, wanted, init = {}) {
  made[ids[token]] += 1;
  kinds[kind] = (kinds[kind] ?? 0) + 1;
  const response = await system.gateway(where, {
    ...init,
    headers: { "x-api-key": tokens[token], ...init.headers },
  });
  const body = await response.arrayBuffer();
  if (response.status !== wanted)
    wrong.push(`${kind}: ${response.status} ${Buffer.from(body).toString().slice(0, 200)}`);
}

async function hangUp() {
  made[ids.limited] += 1;
  kinds["hang-up"] = (kinds["hang-up"] ?? 0) + 1;
  const abort = new AbortController();
  const response = await system.gateway("/api/stream?chunks=50&interval_ms=50", {
    headers: { "x-api-key": tokens.limited },
    signal: abort.signal,
  });
  const reader = response.body.getReader();
  await reader.read();
  abort.abort();
  await reader.read().catch(() => {});
}

const upload = Buffer.alloc(100_000, "u");
/** @type {[number, () => Promise<void>][]} */
const mix = [
  [40, () => call("plain", "plain", "/api/echo/x?y=1", 200)],
  [10, () => call("upload", "plain", "/api/sink", 200, { method: "POST", body: upload })],
  [10, () => call("download", "plain", `/api/bytes?n=${MIB}`, 200)],
  [8, () => call("stream", "plain", "/api/stream?chunks=4&interval_ms=20", 200)],
  [10, () => call("limited", "limited", "/api/echo", 200)],
  [
    4,
    () =>
      call("AI", "limited", "/api/openai/chat/completions", 200, {
        method: "POST",
        body: JSON.stringify({ model: "demo-1", max_tokens: 10 }),
      }),
  ],
  [
    2,
    () =>
      call("AI stream", "limited", "/api/openai/chat/completions", 200, {
        method: "POST",
        body: JSON.stringify({ model: "demo-1", max_tokens: 10, stream: true }),
      }),
  ],
  [6, () => call("refused", "narrow", "/api/echo", 403)],
  [4, () => call("failing", "plain", "/api/status/503", 503)],
  [3, () => call("broken", "plain", "/api/reset", 502)],
  [3, hangUp],
];
const whole = mix.reduce((sum, [weight]) => sum + weight, 0);
function pick() {
  let at = Math.random() * whole;
  return mix.find(([weight]) => (at -= weight) < 0)[1];
}

const until = Date.now() + Number(options.minutes) * 60_000;
const memory = [];
const sampler = setInterval(() => memory.push(Math.round(runtimeMemory() / MIB)), 2_000);
await Promise.all(
  Array.from({ length: Number(options.clients) }, async () => {
    while (Date.now() < until) await pick()().catch((error) => wrong.push(String(error)));
  }),
);
clearInterval(sampler);

const counted = (id) => system.usage.calls({ token: id });
await eventually(
  async () =>
    (await counted(ids.plain)) >= made[ids.plain] && (await counted(ids.limited)) >= made[ids.limited],
  60_000,
  "every event being in D1",
).catch(() => {});
await sleep(4_000);
const events = Object.fromEntries(
  await Promise.all(Object.values(ids).map(async (id) => [id, await counted(id)])),
);
await system.stop();

const calls = Object.values(made).reduce((sum, n) => sum + n, 0);
const mean = (numbers) => numbers.reduce((sum, n) => sum + n, 0) / Math.max(1, numbers.length);
const warm = memory.slice(Math.floor(memory.length / 2));
const growth = Math.round(mean(warm.slice(-10)) - mean(warm.slice(0, 10))) * MIB;
const result = {
  minutes: Number(options.minutes),
  calls,
  kinds,
  wrong: wrong.length,
  made,
  events,
  memory_mib: memory,
  growth_mib: growth / MIB,
};
console.log(
  options.json
    ? JSON.stringify(result, null, 2)
    : `${calls} calls in ${options.minutes} min, ${wrong.length} wrong; memory ${memory.at(0)} to ${memory.at(-1)} MiB, once warm ${growth / MIB} MiB more`,
);
assert.deepEqual(wrong.slice(0, 10), [], "no error that was not asked for");
assert.deepEqual(events, made, "one event for each call");
assert.ok(
  Number(options.minutes) < WARM_MINUTES || growth < FLAT,
  `memory grew by ${growth / MIB} MiB: ${memory}`,
);
process.exit(0);
