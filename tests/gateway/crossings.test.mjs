// How often one warm call crosses the border between JavaScript and wasm. Each crossing costs, and each one that is added
// is paid by every call, so the counts may only fall.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";

/** The most crossings of a call: from wasm to JavaScript, and back. */
const MOST = { GET: [4, 8], POST: [4, 8] };
const CALLS = 15;

/** What n8n's HTTP Request node sends, with what Cloudflare's edge adds; the token is one more. */
const HEADERS = {
  accept:
    "application/json,text/html,application/xhtml+xml,application/xml,text/*;q=0.9, image/*;q=0.8, */*;q=0.7",
  "accept-encoding": "gzip, br",
  "user-agent": "n8n",
  "cf-connecting-ip": "203.0.113.9",
  "cf-ipcountry": "DE",
  "cf-ray": "9f1c2d3e4f5a6b7c-FRA",
  "cf-visitor": '{"scheme":"https"}',
  "cdn-loop": "cloudflare; loops=1",
  "x-forwarded-for": "203.0.113.9",
  "x-forwarded-proto": "https",
  "x-real-ip": "203.0.113.9",
  traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
};

let system;
let token;
before(async () => {
  // A flush of usage is no part of the call that it happens in.
  const gatewayVars = { COUNT_CROSSINGS: "true", USAGE_FLUSH_MS: "10000" };
  system = await startOnSockets({ withApi: false, gatewayVars });
  await putRoutes(system, [["/api/echo", "/echo", { credential: { kind: "bearer", token: "vendor-key" } }]]);
  token = await putToken(system);
  await eventually(async () => (await call("GET")) === 200);
});
after(() => system?.stop());

async function call(method) {
  const body = method === "POST" ? JSON.stringify({ text: "x".repeat(1_000) }) : undefined;
  const headers = { ...HEADERS, "x-api-key": token, ...(body && { "content-type": "application/json" }) };
  const response = await system.gateway("/api/echo/a?b=1", { method, headers, body });
  await response.text();
  return response.status;
}

/** The calls of each function by one call of the gateway, background work included. */
async function counted(method) {
  const before = await system.wasm();
  assert.equal(await call(method), 200);
  await sleep(30);
  const after = await system.wasm();
  return ["imports", "exports"].map((kind) =>
    Object.entries(after[kind]).flatMap(([name, calls]) => {
      const made = calls - (before[kind][name] ?? 0);
      return made > 0 ? [[name.replace(/^_*wbg_|_[0-9a-f]{16}$/g, ""), made]] : [];
    }),
  );
}

const sum = (functions) => functions.reduce((all, [, calls]) => all + calls, 0);

for (const [method, most] of Object.entries(MOST)) {
  test(`a warm ${method} crosses the border at most ${most.join(" and ")} times`, async (t) => {
    const all = [];
    for (let i = 0; i < CALLS; i++) all.push(await counted(method));
    // A token is read again in the background now and then, so the usual call is the one in the middle.
    all.sort((a, b) => sum(a.flat()) - sum(b.flat()));
    const usual = all[CALLS >> 1];
    const text = (functions) =>
      functions
        .sort(([, a], [, b]) => b - a)
        .map(([name, calls]) => `${calls} ${name}`)
        .join(", ");
    for (const [way, functions] of [
      ["wasm to JavaScript", usual[0]],
      ["JavaScript to wasm", usual[1]],
    ])
      t.diagnostic(`${method}, ${way}: ${sum(functions)}: ${text(functions)}`);
    assert.ok(sum(usual[0]) <= most[0] && sum(usual[1]) <= most[1], `${usual.map(sum)}`);
    assert.ok(sum(usual[0]) > 0 && sum(usual[1]) > 0, "they are counted at all");
  });
}
