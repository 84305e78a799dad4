// `npm run bench -- [--rounds 60] [--connections 32] [--quick] [--json]`: the gateway against a bare pass-through in
// JavaScript and one in Rust, on the real runtime on this machine, with nginx as the upstream. Each gets some 110 calls in
// turn, so that other load on the machine meets all alike; compared are the calls per second and the CPU of the runtime
// per call, both of the same round. `--quick` takes less than a minute and leaves out the rest.
import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { build } from "../scripts/build/build.mjs";
import { eventually, putRoutes, putToken, startOnSockets } from "../tests/support/harness.mjs";
import { mintToken } from "../tests/support/tokens.mjs";
import { report } from "./gateway/report.mjs";
import { inTurn } from "./gateway/rounds.mjs";
import * as system from "./gateway/system.mjs";
import { startNginx, startStreaming } from "./gateway/upstreams.mjs";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string" },
    connections: { type: "string", default: "32" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const { requestOf, targetOf } = system;
const rounds = Number(options.rounds ?? (options.quick ? 15 : 60));
const connections = Number(options.connections);
const SCALES = [10, 1_000, 10_000];
const KIB = JSON.stringify({ text: "x".repeat(1_000) });
const LARGE = { rounds: Math.ceil(rounds / 4), calls: 32, connections: 8 };

// Only a release is worth measuring.
process.env.BUILD = "release";
await build("gateway");
if (!options.quick) await build("bench/rust-pass-through");
const nginx = await startNginx();
const streaming = await startStreaming();
const js = await system.startJs(nginx.url);
const jsToStream = await system.startJs(streaming.url);
const rust = options.quick ? undefined : await system.startRust(nginx.url);
const gateway = await system.startGateway();
const upstreams = { upstream: nginx.url, streaming: streaming.url };
/** @type {any} */
const results = { rounds, connections, cores: availableParallelism(), load: {} };
try {
  await system.fill(gateway, { count: 10, ...upstreams });
  const tokens = await tokensOf();
  await load(tokens);
  results.latency = await inTurn(variants(tokens, "r0"), { rounds, calls: 50, connections: 1 });
  if (!options.quick) {
    results.feed = await feed(tokens);
    results.ai = await aiCalls(tokens);
    for (const count of SCALES) await atScale(count);
  }
} finally {
  await Promise.all([gateway, js, jsToStream, rust, streaming, nginx].map((started) => started?.stop()));
}
if (!options.quick) results.kv_reads = await kvReads();
console.log(options.json ? JSON.stringify(results, null, 2) : report(results));
process.exit(0);

async function tokensOf() {
  const tokens = {
    plain: await putToken(gateway),
    limited: await putToken(gateway, { limits: { calls_per_day: 1_000_000_000 } }),
    budget: await putToken(gateway, { limits: { cost_micros_per_month: 1e12 } }),
  };
  for (const token of Object.values(tokens)) await system.ready(gateway, token, "/api/r0");
  return tokens;
}

/** Each Worker with the same call; bare JavaScript first, with which the others are compared. */
function variants({ plain, limited }, where, body) {
  const through = { url: gateway.urls.gateway, pid: gateway.pid };
  const own = requestOf(plain, `/${where}`, body);
  return [
    targetOf("bare JavaScript", js, own),
    ...(rust ? [targetOf("bare Rust", rust, own)] : []),
    targetOf("gateway", through, requestOf(plain, `/api/${where}`, body)),
    targetOf("gateway, token with a rate limit", through, requestOf(limited, `/api/${where}`, body)),
  ];
}

async function load(tokens) {
  results.load["GET 1 KB"] = await inTurn(variants(tokens, "r0"), { rounds, connections });
  if (options.quick) return;
  results.load["POST 1 KB"] = await inTurn(variants(tokens, "r0", KIB), { rounds, connections });
  results.load["GET 1 MB"] = await inTurn(variants(tokens, "r0/large"), LARGE);
}

/** Plain calls while the gateway polls the change feed, beside those of a gateway that does not. */
async function feed({ plain }) {
  const unfed = await system.startGateway({ FEED_POLL_MS: "0" });
  try {
    await system.fill(unfed, { count: 10, ...upstreams });
    const own = await putToken(unfed);
    await system.ready(unfed, own, "/api/r0");
    const to = (name, { urls, pid }, token) =>
      targetOf(name, { url: urls.gateway, pid }, requestOf(token, "/api/r0"));
    const pair = [to("without the change feed", unfed, own), to("with the change feed", gateway, plain)];
    return await inTurn(pair, { rounds: 2 * rounds, calls: 50, connections: 1 });
  } finally {
    await unfed.stop();
  }
}

/** Chats that are streamed, on a token with a budget, beside a bare Worker that passes the stream on. */
function aiCalls({ budget }) {
  const messages = [{ role: "user", content: "Hello" }];
  const body = JSON.stringify({ model: "demo-1", stream: true, max_tokens: 100, messages });
  const through = { url: gateway.urls.gateway, pid: gateway.pid };
  const targets = [
    targetOf("bare JavaScript", jsToStream, requestOf(budget, "/v1/chat/completions", body)),
    targetOf("gateway, token with a budget", through, requestOf(budget, "/api/ai/chat/completions", body)),
  ];
  return inTurn(targets, { rounds: Math.ceil(rounds / 2), calls: 32, connections: 8 });
}

/** Each call with another token to another route. */
async function atScale(count) {
  const many = await system.targetOfMany(gateway, { count, ...upstreams });
  const bare = targetOf("bare JavaScript", js, requestOf("none", "/r0"));
  // The first visits fill the caches.
  await many.calls(count, connections);
  results.load[`${count} routes and tokens`] = await inTurn([bare, many], {
    rounds: Math.ceil(rounds / 2),
    connections,
  });
}

/** KV reads of a warm call and of a forged token, counted at the binding. */
async function kvReads() {
  const counted = await startOnSockets({ faults: true });
  try {
    await putRoutes(counted, [["/api/echo", "/echo"]]);
    const token = await putToken(counted);
    const call = async (key) => counted.gateway("/api/echo", { headers: { "x-api-key": key } });
    await eventually(async () => (await call(token)).status === 200);
    const reading = async () => (await counted.faults("gateway")).counts.kv_get;
    const per = async (count, key) => {
      const before = await reading();
      for (let i = 0; i < count; i++) await (await call(key())).arrayBuffer();
      return ((await reading()) - before) / count;
    };
    return {
      warm: await per(1_000, () => token),
      forged: await per(200, () => mintToken(randomBytes(32).toString("base64"))),
    };
  } finally {
    await counted.stop();
  }
}
