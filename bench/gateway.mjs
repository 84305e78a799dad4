// `npm run bench -- [--rounds 5] [--seconds 5] [--connections 32] [--quick] [--json]`: the gateway against a bare
// pass-through in JavaScript, one in Rust, and the upstream directly, on the real runtime on this machine. Rounds are
// interleaved, so that other load on the machine affects all alike; medians and spread are shown.
import { randomBytes } from "node:crypto";
import { request } from "node:http";
import path from "node:path";
import { parseArgs } from "node:util";
import autocannon from "autocannon";
import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from "miniflare";
import { build } from "../scripts/build/build.mjs";
import { root } from "../scripts/setup.mjs";
import { eventually, freePorts, putRoutes, putToken, startOnSockets } from "../tests/support/harness.mjs";
import { mintToken } from "../tests/support/tokens.mjs";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string" },
    seconds: { type: "string" },
    connections: { type: "string", default: "32" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const rounds = Number(options.rounds ?? (options.quick ? 1 : 5));
const seconds = Number(options.seconds ?? (options.quick ? 1 : 5));
const connections = Number(options.connections);
const scales = options.quick ? [10] : [10, 1_000, 10_000];
const say = (text = "") => options.json || console.log(text);

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const spread = (numbers) => [Math.min(...numbers), Math.max(...numbers)];

/** Responds with 1 KB at once, 1 MB at `/large`, and at `/stream` ten events 10 ms apart, each with its time. */
const upstreamScript = `
  const small = "x".repeat(1024), large = new Uint8Array(1 << 20);
  export default { async fetch(request) {
    const where = new URL(request.url).pathname;
    if (where.endsWith("/large")) return new Response(large);
    if (!where.endsWith("/stream")) return new Response(small, { headers: { "content-type": "text/plain" } });
    let n = 0;
    return new Response(new ReadableStream({ async pull(controller) {
      if (n > 0) await scheduler.wait(10);
      controller.enqueue(new TextEncoder().encode("data: " + n + "\\n\\n"));
      if (++n === 10) controller.close();
    } }), { headers: { "content-type": "text/event-stream" } });
  } };`;
const bareScript = `
  export default { fetch(request, env) {
    const url = new URL(request.url);
    return fetch(env.UPSTREAM + url.pathname + url.search, request);
  } };`;

/** One Worker in a runtime of its own, on a socket. */
async function startWorker(worker) {
  const [port] = await freePorts(1);
  const whole = {
    name: "bench",
    compatibilityDate: "2026-11-01",
    ...worker,
    unsafeDirectSockets: [{ host: "127.0.0.1", port }],
  };
  const runtime = new Miniflare(
    convertV4MiniflareOptions({ workers: [whole], cf: false, log: new Log(LogLevel.ERROR) }),
  );
  await runtime.ready;
  return { url: `http://127.0.0.1:${port}`, stop: () => runtime.dispose() };
}

function rustWorker(bindings) {
  const folder = path.join(root, "bench/rust-pass-through/build");
  const file = (type, name) => ({ type, path: path.join(folder, name) });
  return {
    modulesRoot: folder,
    modules: [file("ESModule", "index.js"), file("CompiledWasm", "index_bg.wasm")],
    bindings,
  };
}

/** Calls per second over `seconds`, one call at a time on each connection. */
async function load(url, headers, requests = [{ method: "GET", headers }]) {
  const result = await autocannon({ url, connections, duration: seconds, requests });
  if (result.non2xx || result.errors)
    throw new Error(`${url}: ${result.non2xx} refused, ${result.errors} failed`);
  return result.requests.total / result.duration;
}

/** Time to the first byte of the body, in ms. */
const firstByte = (url, headers) =>
  new Promise((resolve, reject) => {
    const started = performance.now();
    request(url, { headers }, (response) => {
      response.once("data", () => resolve(performance.now() - started));
      response.resume();
    })
      .on("error", reject)
      .end();
  });

async function firstBytes(url, headers, count) {
  const times = [];
  for (let i = 0; i < count; i++) times.push(await firstByte(url, headers));
  return median(times);
}

// Only a release is worth measuring.
process.env.BUILD = "release";
await build("gateway");
await build("admin-api");
await build("bench/rust-pass-through");
const upstream = await startWorker({ modules: true, script: upstreamScript });
const js = await startWorker({ modules: true, script: bareScript, bindings: { UPSTREAM: upstream.url } });
const rust = await startWorker(rustWorker({ UPSTREAM: upstream.url }));
const results = {
  cores: (await import("node:os")).availableParallelism(),
  rounds,
  seconds,
  connections,
  throughput: {},
  scale: {},
  streams: {},
};
// In production the consumer of the events runs elsewhere.
const system = await startOnSockets({
  gatewayVars: { USAGE_FLUSH_MS: "500" },
  withApi: false,
  strict: false,
});
try {
  await fill(10);
  const plain = await putToken(system);
  const limited = await putToken(system, { limits: { calls_per_day: 1_000_000_000 } });
  await ready(plain);
  await throughput(plain, limited);
  await streams(plain);
  for (const count of scales) await atScale(count);
} finally {
  await Promise.all([system.stop(), upstream.stop(), js.stop(), rust.stop()]);
}
await reads();
report();
process.exit(0);

/** A table of `count` routes, all to the bench's upstream. */
async function fill(count, version = 1) {
  await putRoutes(
    system,
    Array.from({ length: count }, (_, i) => [
      `/api/r${i}`,
      `${upstream.url}/r${i}`,
      { credential: { kind: "bearer", token: "vendor-key" } },
    ]),
    { version },
  );
}

async function ready(token, where = "/api/r0") {
  await eventually(
    async () => (await system.gateway(where, { headers: { "x-api-key": token } })).status === 200,
    30_000,
    "the gateway",
  );
}

async function throughput(plain, limited) {
  const key = (token) => ({ "x-api-key": token });
  for (const [size, where] of [
    ["1 KB", "r0"],
    ["1 MB", "r0/large"],
  ]) {
    const variants = {
      "the upstream directly": [`${upstream.url}/${where}`, {}],
      "bare JavaScript": [`${js.url}/${where}`, {}],
      "bare Rust": [`${rust.url}/${where}`, {}],
      gateway: [`${system.urls.gateway}/api/${where}`, key(plain)],
      ...(size === "1 KB" && { "gateway, limited": [`${system.urls.gateway}/api/${where}`, key(limited)] }),
    };
    const rates = Object.fromEntries(Object.keys(variants).map((name) => [name, []]));
    for (const [url, headers] of Object.values(variants)) await load(url, headers);
    for (let round = 0; round < rounds; round++) {
      for (const [name, [url, headers]] of Object.entries(variants))
        rates[name].push(await load(url, headers));
    }
    results.throughput[size] = Object.fromEntries(
      Object.entries(rates).map(([name, list]) => [name, { median: median(list), spread: spread(list) }]),
    );
  }
}

async function streams(token) {
  const count = options.quick ? 20 : 200;
  const [direct, through] = [[], []];
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    direct.push(await firstBytes(`${upstream.url}/r0/stream`, {}, count));
    through.push(await firstBytes(`${system.urls.gateway}/api/r0/stream`, { "x-api-key": token }, count));
  }
  results.streams = {
    direct_ms: median(direct),
    gateway_ms: median(through),
    later_ms: median(through) - median(direct),
  };
}

/** Measures this many routes and tokens, each call with another token to another route. */
async function atScale(count) {
  await fill(count, count);
  const tokens = Array.from({ length: count }, () => mintToken(system.secrets.TOKEN_CHECK_KEY));
  for (let i = 0; i < count; i += 50) {
    await Promise.all(
      tokens
        .slice(i, i + 50)
        .map((token) => putToken(system, { id: `tok_${randomBytes(6).toString("hex")}` }, token)),
    );
  }
  await ready(tokens.at(-1), `/api/r${count - 1}`);
  const requests = tokens.map((token, i) => ({
    method: "GET",
    path: `/api/r${i}`,
    headers: { "x-api-key": token },
  }));
  const rates = [];
  for (let round = 0; round <= Math.min(rounds, 3); round++)
    rates.push(await load(system.urls.gateway, {}, requests));
  rates.shift(); // the first fills the caches
  results.scale[count] = { median: median(rates), spread: spread(rates) };
}

/** KV reads of a warm call and of a forged token, counted at the binding. */
async function reads() {
  const counted = await startOnSockets({ faults: true });
  try {
    await putRoutes(counted, [["/api/echo", "/echo"]]);
    const token = await putToken(counted);
    const call = async (key) =>
      (await counted.gateway("/api/echo", { headers: { "x-api-key": key } })).arrayBuffer();
    await eventually(
      async () => (await counted.gateway("/api/echo", { headers: { "x-api-key": token } })).status === 200,
    );
    const reading = async () => (await counted.faults("gateway")).counts.kv_get;
    const per = async (count, key) => {
      const before = await reading();
      for (let i = 0; i < count; i++) await call(key());
      return ((await reading()) - before) / count;
    };
    results.kv_reads = {
      warm: await per(1_000, () => token),
      forged: await per(200, () => mintToken(randomBytes(32).toString("base64"))),
    };
  } finally {
    await counted.stop();
  }
}

function report() {
  if (options.json) return console.log(JSON.stringify(results, null, 2));
  const rate = ({ median, spread: [low, high] }) =>
    `${median.toFixed(0).padStart(7)} (${low.toFixed(0)} to ${high.toFixed(0)})`;
  say(`${rounds} rounds of ${seconds} s, ${connections} connections, ${results.cores} cores shared by all\n`);
  for (const [size, variants] of Object.entries(results.throughput)) {
    say(`| ${size} | calls/s, median (spread) | of bare JavaScript |`);
    say("|---|---|---|");
    for (const [name, figures] of Object.entries(variants)) {
      say(
        `| ${name} | ${rate(figures)} | ${(figures.median / variants["bare JavaScript"].median).toFixed(2)} |`,
      );
    }
    say();
  }
  say("| routes and tokens | calls/s, median (spread) |");
  say("|---|---|");
  for (const [count, figures] of Object.entries(results.scale)) say(`| ${count} | ${rate(figures)} |`);
  say();
  say(
    `First byte of a stream: ${results.streams.gateway_ms.toFixed(2)} ms, upstream's own ${results.streams.direct_ms.toFixed(2)} ms: ${results.streams.later_ms.toFixed(2)} ms later (p50).`,
  );
  say(
    `KV reads: ${results.kv_reads.warm.toFixed(3)} per warm call, ${results.kv_reads.forged.toFixed(3)} per forged token.`,
  );
}
