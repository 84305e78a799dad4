// A second upstream for when the first is down.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { eventually, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";

let system;
let token;
let first;
/** The first upstream's response: a status, or `reset`. */
/** @type {number | string} */
let mood = 200;
let seen = 0;
/** The addresses and bodies that it saw. */
const firstSaw = [];

/** The second upstream's names of models. */
const MODELS = { "gpt-4o": 'our/"4o"', "client-name": "demo-1" };

before(async () => {
  system = await startOnSockets();
  first = createServer((request, response) => {
    seen += 1;
    if (mood === "reset") return request.socket.destroy();
    const pieces = [];
    request.on("data", (piece) => pieces.push(piece));
    request.on("end", () => {
      firstSaw.push([request.url, Buffer.concat(pieces).toString()]);
      response.writeHead(Number(mood), { "content-type": "application/json" }).end('{"from":"first"}');
    });
  });
  await new Promise((resolve) => first.listen(0, "127.0.0.1", resolve));
  const { port } = /** @type {import("node:net").AddressInfo} */ (first.address());
  const base = `http://127.0.0.1:${port}`;
  const failover = (more) => ({
    settings: { failover: { route_id: "rte__api_second", ...more } },
    credential: { kind: "bearer", token: "for-the-first" },
  });
  await putRoutes(system, [
    ["/api/one", base, failover({})],
    ["/api/any", base, failover({ any_method: true })],
    ["/api/breaks", base, failover({})],
    ["/api/keys", base, failover({ any_method: true, on_refusal: true })],
    ["/api/renames", base, failover({ any_method: true, on_refusal: true, models: MODELS })],
    [
      "/api/ai",
      base,
      {
        settings: {
          ai: { provider: "openai" },
          failover: { route_id: "rte__api_ai-second", any_method: true, on_refusal: true, models: MODELS },
        },
      },
    ],
    ["/api/ai-second", "/v1", { settings: { ai: { provider: "openai" } } }],
    ["/api/second", "/echo", { credential: { kind: "bearer", token: "for-the-second" } }],
  ]);
  await system.kv.put("prices", '{"v":1,"prices":{"demo-1":{"prompt":1000000,"completion":2000000}}}');
  token = await putToken(system);
  await eventually(async () => (await call("/api/one")).status === 200);
});
after(async () => {
  await system?.stop();
  first?.close();
});

const call = async (where, init = {}) => {
  const response = await system.gateway(where, { ...init, headers: { "x-api-key": token, ...init.headers } });
  const text = await response.text();
  return { status: response.status, body: text.startsWith("{") ? JSON.parse(text) : text };
};
const during = async (what, work) => {
  mood = what;
  try {
    return await work();
  } finally {
    mood = 200;
  }
};

test("a healthy first upstream is the only one called", async () => {
  assert.equal((await call("/api/one/x")).body.from, "first");
  assert.equal((await during(500, () => call("/api/one/x"))).status, 500, "its own error is the response");
});

for (const failure of ["reset", 502, 503, 504]) {
  test(`${failure}: an idempotent call goes to the second upstream, with the second's credential`, async () => {
    const { status, body } = await during(failure, () => call("/api/one/x/y?q=1"));
    assert.deepEqual([status, body.path, body.query], [200, "/echo/x/y", "?q=1"]);
    assert.equal(body.headers.authorization, "Bearer for-the-second");
    await call("/api/one/x");
  });
}

test("a call that changes something is sent once, unless the route says otherwise", async () => {
  const post = (where) => call(where, { method: "POST", body: "payload" });
  assert.equal((await during(503, () => post("/api/one/x"))).status, 503);
  const { status, body } = await during(503, () => post("/api/any/x"));
  assert.deepEqual([status, body.body], [200, "payload"], "with the whole body");
  await call("/api/any/x");
});

test("after five failures in a row the first upstream is left alone, then tried by one call", async () => {
  await during(503, async () => {
    for (let i = 0; i < 5; i++) await call("/api/breaks/x");
    const before = seen;
    for (let i = 0; i < 10; i++) assert.equal((await call("/api/breaks/x")).body.path, "/echo/x");
    assert.equal(seen, before, "the first is not asked while the breaker is open");
  });
  await eventually(
    async () => (await call("/api/breaks/x")).body.from === "first",
    12_000,
    "the first being used again",
  );
});

test("a second key stands in for one that is refused or rate-limited, if the route says so", async () => {
  const body = JSON.stringify({ some: "body" });
  const post = (where) => call(where, { method: "POST", body });
  for (const status of [401, 429]) {
    await during(status, async () => {
      const { status: served, body: echoed } = await post("/api/keys");
      assert.equal(served, 200);
      assert.equal(echoed.headers.authorization, "Bearer for-the-second");
      assert.equal(echoed.body, body);
      assert.equal((await post("/api/any")).status, status, "without the setting it is the client's");
    });
  }
  await during(403, async () => assert.equal((await post("/api/keys")).status, 403));
  assert.equal(
    (await post("/api/keys")).body.from,
    "first",
    "a refusal is no failure that the breaker counts",
  );
});

/** Calls the route whose first upstream has too many calls, and returns what the second one saw. */
async function renamed(path, init = {}) {
  const { status, body } = await during(429, () => call(`/api/renames${path}`, { method: "POST", ...init }));
  assert.equal(status, 200);
  return body;
}

test("the second upstream gets the model by its own name, in the body or the path, and everything else as it was", async () => {
  const body = '{ "messages": [{"model":"gpt-4o"}], "model" : "gpt-4o" , "temperature": 1.0}';
  const there = '{ "messages": [{"model":"gpt-4o"}], "model" : "our/\\"4o\\"" , "temperature": 1.0}';
  assert.equal((await renamed("/chat/completions", { body })).body, there);
  assert.deepEqual(firstSaw.at(-1), ["/chat/completions", body], "the first gets the client's name");
  const other = body.replace('"model" : "gpt-4o"', '"model" : "o3"');
  assert.equal((await renamed("/chat/completions", { body: other })).body, other);
  const inPath = await renamed("/openai/deployments/gpt-4o/chat?api-version=1", { body: "{}" });
  assert.deepEqual(
    [inPath.path, inPath.query],
    ["/echo/openai/deployments/our%2F%224o%22/chat", "?api-version=1"],
  );
});

test("so it does in a form", async () => {
  const body = new FormData();
  body.set("file", new Blob(["--sound--\r\n"]), "a.mp3");
  body.set("model", "gpt-4o");
  const echoed = await renamed("/audio/transcriptions", { body });
  const [, asked] = firstSaw.at(-1);
  assert.match(asked, /name="model"\r\n\r\ngpt-4o\r\n/);
  assert.equal(echoed.body, asked.replace("\r\ngpt-4o\r\n", '\r\nour/"4o"\r\n'));
});

test("the call is priced by the model that the second upstream says it used", async () => {
  const own = await putToken(system, { id: "tok_renamed" });
  const body = '{"model":"client-name","max_tokens":5}';
  const { status } = await during(429, () =>
    call("/api/ai/chat/completions", { method: "POST", body, headers: { "x-api-key": own } }),
  );
  assert.equal(status, 200);
  const [row] = await eventually(async () => {
    const rows = await system.usage.events({ token_id: "tok_renamed" });
    return rows.length > 0 && rows;
  });
  assert.deepEqual([row.second, row.model, row.cost_micros > 0], [true, "demo-1", true]);
});
