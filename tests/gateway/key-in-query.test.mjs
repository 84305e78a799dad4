// A token in `?key=`: only on a route that allows it, only if it is a token, and seen by nobody else.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { GoogleGenAI } from "@google/genai";
import { WebSocketServer } from "ws";
import { eventually, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";
import { deriveToken, mintLegacyToken, mintToken } from "../support/tokens.mjs";

const DERIVE_KEY = Buffer.alloc(32, 5).toString("base64");
let system;
let token;
/** A vendor of sockets, which notes the addresses that it was called at. */
let vendor;
const dialled = [];

before(async () => {
  vendor = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  vendor.on("connection", (peer, request) => {
    dialled.push({ url: request.url, headers: request.headers });
    peer.on("message", () => peer.send('{"setupComplete":{}}'));
  });
  system = await startOnSockets({ gatewayVars: { LOG_CALLS: "true", DERIVE_KEY } });
  await putRoutes(system, routes(true), { legacy_tokens: true });
  token = await putToken(system, { id: "tok_key", may_derive: true });
  await eventually(async () => (await status("/api/open", token)) === 200);
});
after(async () => {
  await system?.stop();
  vendor?.close();
});

/** The routes, of which the first accept a token in the query. */
function routes(key_in_query) {
  const credential = { kind: "query", parameter: "key", value: "vendor-key" };
  const settings = { key_in_query, keep_errors: true };
  return [
    ["/api/open", "/echo", { credential, settings }],
    ["/api/failing", "/status", { credential, settings }],
    ["/api/live", `http://127.0.0.1:${vendor.address().port}`, { credential, settings }],
    ["/api/shut", "/echo", { credential }],
  ];
}

const call = (where, key, headers = {}) => system.gateway(`${where}?a=1&key=${key}&alt=sse`, { headers });
const status = async (where, key, headers) => (await call(where, key, headers)).status;
/** Makes a call that reaches no upstream, and returns its status and code. */
async function refusal(where, key, headers) {
  const before = system.upstream.requests.length;
  const response = await call(where, key, headers);
  const { code } = await response.json();
  assert.equal(system.upstream.requests.length, before, "nothing is sent on");
  return [response.status, code];
}

test("a route that allows it accepts a token in ?key=, plain or derived, and the upstream gets the vendor's key alone", async () => {
  for (const key of [token, deriveToken(token, DERIVE_KEY)]) {
    assert.equal(await status("/api/open/x", key), 200);
    const received = system.upstream.requests.at(-1);
    assert.equal(received.url, "/echo/x?a=1&alt=sse&key=vendor-key");
    assert.ok(!/nt[kd]_/.test(JSON.stringify(received)), JSON.stringify(received));
  }
  assert.equal(await status("/api/open", `AIza-stale&key=${token}`), 200, "beside another key");
});

test("a route that does not allow it refuses the call as one without a token", async () => {
  const without = await system.gateway("/api/shut");
  assert.deepEqual([without.status, (await without.json()).code], [401, "missing-api-key"]);
  for (const key of [token, deriveToken(token, DERIVE_KEY)])
    assert.deepEqual(await refusal("/api/shut", key), [401, "missing-api-key"]);
  assert.deepEqual(await refusal("/api/nowhere", token), [401, "missing-api-key"]);
  assert.deepEqual(await refusal("/health/canary", token), [401, "missing-api-key"]);
});

test("nothing but a token with a valid check counts there, and a header decides first", async () => {
  const legacy = mintLegacyToken();
  await putToken(system, { id: "tok_key_legacy" }, legacy);
  const forged = mintToken(Buffer.alloc(32, 9).toString("base64"));
  for (const key of [
    "AIza-vendor",
    "",
    "ntk_short",
    "ntd_x.y",
    legacy,
    forged,
    encodeURIComponent(`"${token}"`),
  ])
    assert.deepEqual(await refusal("/api/open", key), [401, "missing-api-key"], key);
  const revoked = await putToken(system, { id: "tok_key_revoked", state: "revoked" });
  assert.deepEqual(await refusal("/api/open", revoked), [401, "invalid-api-key"]);
  assert.deepEqual(await refusal("/api/open", token, { "x-api-key": revoked }), [401, "invalid-api-key"]);
  const other = await putToken(system, { id: "tok_key_header" });
  assert.equal(await status("/api/open", token, { "x-goog-api-key": other }), 200);
  assert.ok(!/ntk_/.test(JSON.stringify(system.upstream.requests.at(-1))));
  const [event] = await eventually(async () => {
    const found = await system.usage.events({ token_id: "tok_key_header" });
    return found.length > 0 && found;
  });
  assert.equal(event.path, "/api/open");
});

test("Google's own client works through it where it sends its key in the address: a socket", async () => {
  const client = new GoogleGenAI({
    apiKey: token,
    httpOptions: { baseUrl: `${system.urls.gateway}/api/live` },
  });
  const heard = [];
  const session = await client.live.music.connect({
    model: "models/lyria-realtime-exp",
    callbacks: { onmessage: (message) => heard.push(message) },
  });
  await eventually(() => heard.length > 0);
  assert.deepEqual(heard[0].setupComplete, {});
  session.close();
  const { url, headers } = dialled.at(-1);
  assert.match(url, /BidiGenerateMusic\?key=vendor-key$/);
  assert.ok(!/ntk_/.test(JSON.stringify([url, headers])));
});

test("the token is in no log line, no event and no kept error", async () => {
  const response = await call("/api/failing/500", token, { "x-request-id": "key-in-query-1" });
  assert.equal(response.status, 500);
  const [listed] = await eventually(async () => {
    const found = await system.usage.events({ request_id: "key-in-query-1" });
    return found.length > 0 && found;
  }, 15_000);
  const [one] = await system.usage.events({ id: listed.id, from: `${listed.at}`, to: `${listed.at + 1}` });
  assert.deepEqual([one.error.body, one.path], ['{"status":500}', "/api/failing/500"]);
  const { results } = await system.usage.db.prepare("SELECT * FROM inbox").all();
  assert.ok(!JSON.stringify([listed, one, results]).includes("ntk_"));
  await eventually(() => system.logs().includes("key-in-query-1"));
  assert.ok(!/nt[kd]_|vendor-key/.test(system.logs()));
});

test("once the route no longer allows it, its calls are refused and its sockets closed", async () => {
  const socket = new WebSocket(`${system.urls.gateway.replace("http", "ws")}/api/live/x?key=${token}`);
  await once(socket, "open");
  const closed = once(socket, "close");
  await putRoutes(system, routes(false), { version: 2 });
  await eventually(async () => (await status("/api/open", token)) === 401, 20_000);
  assert.equal((await closed)[0].code, 1008);
  assert.equal(await status("/api/open", "x", { "x-api-key": token }), 200, "headers work as ever");
});
