// Every method with every kind of body on every kind of route: the upstream gets what was sent, and no fault of a client
// counts against it.
import assert from "node:assert/strict";
import { request } from "node:http";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { keys } from "../support/aws.mjs";
import { eventually, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";

let system;
let tokens;
before(async () => {
  system = await startOnSockets();
  const failover = (more) => ({ settings: { failover: { route_id: "rte__api_second", ...more } } });
  const aws = (service) => ({ credential: { kind: "aws_sigv4", ...keys, service } });
  const ai = { provider: "openai" };
  await system.kv.put("prices", '{"v":1,"prices":{"demo-1":{"prompt":1,"completion":2}}}');
  await putRoutes(system, [
    ["/api/plain", "/echo"],
    ["/api/fo", "/echo/first", failover({})],
    ["/api/any", "/echo/first", failover({ any_method: true })],
    ["/api/second", "/echo/second"],
    ["/api/s3", "/echo", aws("s3")],
    ["/api/lambda", "/echo", aws("lambda")],
    ["/api/ai", "/echo", { settings: { ai } }],
    ["/api/asking", "/echo", { settings: { ai: { ...ai, include_usage: true } } }],
    ["/api/ai-any", "/echo/first", { settings: { ai, ...failover({ any_method: true }).settings } }],
    ["/api/sink", "/sink", failover({})],
  ]);
  const budget = { cost_micros_per_day: 500_000_000, ai_tokens_per_day: 100_000_000 };
  tokens = { free: await putToken(system), budget: await putToken(system, { limits: budget }) };
  await eventually(async () => (await call("GET", "/api/plain")).status === 200);
});
after(() => system?.stop());

/**
 * A call with a body whatever its method, which `fetch` refuses.
 * @param {string} method
 * @param {string} where
 * @param {string} [body]
 * @param {Record<string, string>} [options] the token, and headers
 * @returns {Promise<{ status: number, text: string }>}
 */
function call(method, where, body, { token = tokens.free, ...headers } = {}) {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      system.urls.gateway + where,
      { method, headers: { "x-api-key": token, ...headers } },
      async (response) => {
        const text = Buffer.concat(await response.toArray()).toString();
        resolve({ status: response.statusCode, text });
      },
    );
    outgoing.on("error", reject).end(body);
  });
}

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const SMALL = '{"model":"demo-1","input":"測試"}';
/** What is sent: the headers, and the body if there is one. */
const BODIES = {
  none: [{}],
  "a length of 0": [{ "content-length": "0" }],
  "a small body": [
    { "content-type": "application/json", "content-length": String(Buffer.byteLength(SMALL)) },
    SMALL,
  ],
  "a body in chunks": [{ "content-type": "application/json", "transfer-encoding": "chunked" }, SMALL],
};
/** Routes, with the path on them. Bodies without a length cannot be signed for `lambda`. */
const ROUTES = [
  ["/api/plain", "/x"],
  ["/api/fo", "/x"],
  ["/api/any", "/x"],
  ["/api/s3", "/x"],
  ["/api/lambda", "/x"],
  ["/api/ai", "/v1/chat/completions", "budget"],
  ["/api/ai", "/v1/unknown", "budget"],
  ["/api/asking", "/v1/chat/completions", "free"],
  ["/api/ai-any", "/v1/chat/completions", "budget"],
];

for (const [route, where, who] of ROUTES) {
  test(`${route}${where} passes every method with every kind of body, for ${who ?? "a plain token"}`, async () => {
    for (const method of METHODS) {
      for (const [kind, [headers, body]] of /** @type {any[]} */ (Object.entries(BODIES))) {
        // The runtime sends a body of GET and HEAD only if its length is known.
        if (kind === "a body in chunks" && ["GET", "HEAD"].includes(method)) continue;
        const isUnsignable = route === "/api/lambda" && kind === "a body in chunks";
        const before = system.upstream.requests.length;
        const { status } = await call(method, route + where, body, {
          token: tokens[who ?? "free"],
          ...headers,
        });
        const seen = system.upstream.requests.slice(before).map((got) => [got.method, got.body, got.url]);
        const to = /fo|any/.test(route) ? "/echo/first" : "/echo";
        const wanted = isUnsignable ? [] : [[method, body ?? "", to + where]];
        assert.deepEqual([status, seen], [isUnsignable ? 413 : 200, wanted], `${method} with ${kind}`);
      }
    }
  });
}

test("a body of length 0 is announced or left out, never chunked", async () => {
  for (const method of METHODS) {
    await call(method, "/api/plain", undefined, { "content-length": "0" });
    const { headers } = system.upstream.requests.at(-1);
    assert.ok(
      [undefined, "0"].includes(headers["content-length"]),
      `${method}: ${headers["content-length"]}`,
    );
    assert.equal(headers["transfer-encoding"], undefined, method);
  }
});

/** Sends the head and a part of a body, and returns the socket. */
function begin(method, where, { token = tokens.free, length = 40_000, sent = 20_000 } = {}) {
  const { hostname, port } = new URL(system.urls.gateway);
  const socket = connect(Number(port), hostname).on("error", () => {});
  const head = `${method} ${where} HTTP/1.1\r\nhost: gw\r\nx-api-key: ${token}\r\ncontent-length: ${length}\r\n\r\n`;
  socket.write(head + "x".repeat(sent));
  return socket;
}

test("no breaker opens because clients break off, or send what cannot be sent on", async () => {
  for (let i = 0; i < 8; i++) {
    for (const [method, where, token, length] of [
      ["PUT", "/api/fo/x"],
      ["POST", "/api/fo/x"],
      // Too long to be held and sent again.
      ["PUT", "/api/fo/x", tokens.free, 100_000_000],
      ["POST", "/api/any/x"],
      ["POST", "/api/ai-any/v1/chat/completions", tokens.budget],
    ]) {
      const socket = begin(method, where, { token, length });
      await sleep(50);
      socket.resetAndDestroy();
    }
  }
  await sleep(500);
  for (const [where, token] of [["/api/fo/x"], ["/api/any/x"], ["/api/ai-any/x", tokens.budget]]) {
    const { status, text } = await call("GET", where, undefined, { ...(token && { token }) });
    assert.deepEqual([status, JSON.parse(text).path.split("/")[2]], [200, "first"], where);
  }
});

test("a body that cannot be sent a second time is streamed, though its route has a second upstream", async () => {
  const before = system.upstream.requests.length;
  const socket = begin("POST", "/api/sink");
  const sent = await eventually(() => system.upstream.requests[before], 5_000, "the upstream being asked");
  await eventually(
    () => sent.body_bytes === 20_000,
    5_000,
    "the first half arriving before the second is sent",
  );
  let text = "";
  socket.on("data", (data) => (text += data));
  socket.write("x".repeat(20_000));
  await eventually(() => text.startsWith("HTTP/1.1 200"));
  assert.equal(sent.body_bytes, 40_000);
  socket.destroy();
});

test("the time of an upload that is taken in is neither the gateway's nor the upstream's", async () => {
  for (const [where, token] of [
    ["/api/ai/v1/chat/completions", tokens.budget],
    ["/api/asking/v1/chat/completions", tokens.free],
    ["/api/any/x", tokens.free],
    ["/api/lambda/x", tokens.free],
  ]) {
    const socket = begin("POST", where, { token });
    let text = "";
    socket.on("data", (data) => (text += data));
    await sleep(2_000);
    socket.write("x".repeat(20_000));
    await eventually(() => text.includes("\r\n\r\n"));
    assert.match(text, /^HTTP\/1.1 200/);
    const [, auth, upstream] = /auth;dur=(\d+), upstream;dur=(\d+)/.exec(text);
    assert.ok(Number(auth) < 1_000 && Number(upstream) < 1_000, `${where}: ${auth} and ${upstream} ms`);
    socket.destroy();
  }
});
