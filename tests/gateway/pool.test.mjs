// Several credentials of one route: the next one stands in for one that is refused, which then rests.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";
import { listen } from "../../local/listen.mjs";
import { as, eventually, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";
import { BUSY, KEYS, startVendors } from "../support/vendors.mjs";

let system;
let token;
let vendor;
let vendors;
/** The vendor's response to each key: a status, or headers of a 429. */
/** @type {Record<string, number | Record<string, string>>} */
let mood = {};
/** The keys and bodies that the vendor saw. */
let seen = [];

const member = (name) => ({ name, credential: { kind: "bearer", token: `key-${name}` } });
const pool = (names, more = {}) => ({ kind: "pool", members: names.map(member), ...more });

/** A pool of a key with too many calls, a wrong one, and a right one. */
const ofThree = (provider, of, key) => ({
  credential: {
    kind: "pool",
    members: Object.entries({ busy: BUSY, wrong: "wrong-vendor", right: key }).map(([name, key]) => ({
      name,
      credential: of(key),
    })),
  },
  settings: { ai: { provider } },
});

before(async () => {
  [system, vendors] = await Promise.all([startOnSockets(), startVendors()]);
  vendor = createServer(async (request, response) => {
    const key = request.headers.authorization?.replace("Bearer key-", "") ?? "none";
    let body = "";
    for await (const piece of request) body += piece;
    seen.push([key, body]);
    const now = mood[key] ?? 200;
    const [status, headers] = typeof now === "number" ? [now, {}] : [429, now];
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(`{"key":"${key}"}`);
  });
  const base = `http://127.0.0.1:${await listen(vendor)}`;
  const of = (...args) => ({ credential: pool(...args) });
  await putRoutes(system, [
    ["/api/order", base, of(["a", "b", "c"])],
    ["/api/rests", base, of(["a", "b"])],
    ["/api/dated", base, of(["a", "b"])],
    ["/api/all", base, of(["a", "b"])],
    ["/api/big", base, of(["a", "b"])],
    ["/api/turn", base, of(["a", "b", "c"], { in_turn: true })],
    // As it is sealed: an older version reads the first credential and ignores the pool.
    ["/api/sealed", base, { credential: { kind: "bearer", token: "key-a", pool: pool(["b", "c"]) } }],
    ["/api/second", base, { credential: pool(["d", "e"]) }],
    [
      "/api/openai",
      `${vendors.url}/openai/v1`,
      ofThree("openai", (token) => ({ kind: "bearer", token }), KEYS.openai),
    ],
    [
      "/api/anthropic",
      `${vendors.url}/anthropic`,
      ofThree("anthropic", (value) => ({ kind: "header", name: "x-api-key", value }), KEYS.anthropic),
    ],
    [
      "/api/google",
      `${vendors.url}/google`,
      ofThree("gemini", (value) => ({ kind: "header", name: "x-goog-api-key", value }), KEYS.google),
    ],
    [
      "/api/first",
      base,
      {
        credential: pool(["a", "b"]),
        settings: { failover: { route_id: "rte__api_second", any_method: true, on_refusal: true } },
      },
    ],
  ]);
  token = await putToken(system, { id: "tok_pools" });
  await eventually(async () => (await call("/api/order")).status === 200);
});
after(async () => {
  await Promise.all([system?.stop(), vendors?.close(), vendor?.close()]);
});

const call = async (where, init = {}, path = "") => {
  seen = [];
  const headers = { "x-api-key": token, ...init.headers };
  const response = await system.gateway(`${where}${path}`, { ...init, headers });
  const text = await response.text();
  return {
    status: response.status,
    text,
    keys: seen.map(([key]) => key),
    bodies: seen.map(([, body]) => body),
  };
};
const post = (where, body) => call(where, { method: "POST", body: JSON.stringify({ some: body }) });

test("a call that a key is refused for goes out again with the next one, with its whole body", async () => {
  mood = { a: 401, b: { "retry-after": "30" } };
  const { status, keys, bodies } = await post("/api/order", "x".repeat(10_000));
  assert.deepEqual([status, keys], [200, ["a", "b", "c"]]);
  assert.equal(new Set(bodies).size, 1);
  assert.equal(bodies[0].length, 10_011);
  assert.deepEqual((await post("/api/order", "again")).keys, ["c"], "the others rest");
  mood = {};
  assert.deepEqual((await post("/api/order", "well")).keys, ["c"], "until their time, however well they are");
});

test("a key rests as long as Retry-After says, in seconds or as a date, and then serves again", async () => {
  mood = { a: { "retry-after": "2" } };
  assert.deepEqual((await call("/api/rests")).keys, ["a", "b"]);
  const until = new Date(Date.now() + 3_000);
  mood = { a: { "retry-after": until.toUTCString() } };
  assert.deepEqual((await call("/api/dated")).keys, ["a", "b"]);
  mood = {};
  assert.deepEqual((await call("/api/rests")).keys, ["b"]);
  assert.deepEqual((await call("/api/dated")).keys, ["b"]);
  await eventually(
    async () => (await call("/api/rests")).keys[0] === "a",
    4_000,
    "the first key's end of rest",
  );
  await eventually(async () => (await call("/api/dated")).keys[0] === "a", 4_000, "the same by a date");
  assert.ok(Date.now() >= until.getTime() - 1_000, "not before the date, which has no fraction of a second");
});

test("if all keys are refused the client gets 429 rather than 401, and only one is tried while all rest", async () => {
  mood = { a: { "retry-after": "20" }, b: 401 };
  const { status, keys, text } = await call("/api/all");
  assert.deepEqual([status, keys, text], [429, ["a", "b"], '{"key":"a"}']);
  assert.deepEqual((await call("/api/all")).keys, ["a"], "the one whose rest ends first");
  mood = {};
  assert.deepEqual((await call("/api/all")).status, 200, "and its success ends the rest");
});

test("other failures stay the client's: 403, 500 and 503 reach it from the first key", async () => {
  for (const status of [403, 500, 503]) {
    mood = { c: status };
    assert.deepEqual(await post("/api/order", "x").then((got) => [got.status, got.keys]), [status, ["c"]]);
  }
});

test("a body that is too long to be held is sent once", async () => {
  mood = { a: 401 };
  const long = await call("/api/big", { method: "POST", body: Buffer.alloc(11 << 20) });
  assert.deepEqual([long.status, long.keys], [401, ["a"]]);
  assert.deepEqual((await post("/api/big", "short")).keys, ["b"], "the next call takes the next key");
});

test("in turn, the keys share the calls, and one that rests is left out", async () => {
  mood = {};
  const keys = [];
  for (let i = 0; i < 6; i++) keys.push(...(await call("/api/turn")).keys);
  assert.deepEqual([...keys].sort(), ["a", "a", "b", "b", "c", "c"], keys.join(""));
  mood = { b: { "retry-after": "60" } };
  for (let i = 0; i < 3; i++) assert.equal((await call("/api/turn")).status, 200);
  keys.length = 0;
  for (let i = 0; i < 4; i++) keys.push(...(await call("/api/turn")).keys);
  assert.deepEqual([...keys].sort(), ["a", "a", "c", "c"], keys.join(""));
});

test("the text of a seal that names a pool is read as the pool", async () => {
  mood = {};
  assert.deepEqual((await call("/api/sealed")).keys, ["b"]);
});

test("the second upstream follows when the first's pool is refused as a whole, with a pool of its own", async () => {
  mood = { a: 401, b: 401, d: 429 };
  const { status, keys } = await post("/api/first", "x");
  assert.deepEqual([status, keys], [200, ["a", "b", "d", "e"]]);
});

test("each call's record names the key that served it and those that were refused, never a secret", async () => {
  const calls = async (path) => {
    const { body } = await as(system, "admin", "GET", "/api/usage/events?token_id=tok_pools&limit=200");
    return body.items.filter((one) => one.path === path);
  };
  const fresh = await putToken(system, { id: "tok_seen" });
  const headers = { "x-api-key": fresh };
  await system.gateway("/api/second", { headers });
  const [plain] = await eventually(
    async () => {
      const { items } = (await as(system, "admin", "GET", "/api/usage/events?token_id=tok_seen")).body;
      return items.length > 0 && items;
    },
    10_000,
    "the call's record",
  );
  assert.deepEqual([plain.credential, plain.refused], ["e", undefined], "d rests");
  const [first] = await eventually(async () => (await calls("/api/first")).length > 0 && calls("/api/first"));
  assert.equal(first.credential, "e");
  assert.deepEqual(first.refused, [
    { credential: "a", status: 401 },
    { credential: "b", status: 401 },
    { credential: "d", status: 429 },
  ]);
  assert.equal(first.second, true);
  assert.doesNotMatch(JSON.stringify(first) + system.logs(), /key-[a-e]/);
});

const messages = /** @type {const} */ ([{ role: "user", content: "Hello" }]);
const asked = { model: "claude-sonnet-4-20250514", max_tokens: 100, messages: [...messages] };
const SDKS = {
  openai: async (url, apiKey) => {
    const client = new OpenAI({ apiKey, baseURL: url, maxRetries: 0 });
    const plain = await client.chat.completions.create({ model: "gpt-4o", messages: [...messages] });
    const streamed = await client.chat.completions
      .stream({ model: "gpt-4o", messages: [...messages], stream_options: { include_usage: true } })
      .finalChatCompletion();
    return [plain, streamed].map((one) => one.choices[0].message.content);
  },
  anthropic: async (url, apiKey) => {
    const client = new Anthropic({ apiKey, baseURL: url, maxRetries: 0 });
    const both = [await client.messages.create(asked), await client.messages.stream(asked).finalMessage()];
    return both.map((message) => message.content[0].type === "text" && message.content[0].text);
  },
  google: async (url, apiKey) => {
    const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: url } });
    const ask = { model: "gemini-2.5-flash", contents: "Hello" };
    const pieces = await Array.fromAsync(await client.models.generateContentStream(ask));
    const streamed = pieces.map((piece) => piece.text).join("");
    return [(await client.models.generateContent(ask)).text, streamed];
  },
};
for (const [name, use] of Object.entries(SDKS)) {
  test(`${name}'s own client runs unchanged through three keys of which one is 429 and one 401`, async () => {
    const id = `tok_${name}`;
    const said = await use(`${system.urls.gateway}/api/${name}`, await putToken(system, { id }));
    assert.deepEqual(said, ["Hello", "Hello"]);
    const items = await eventually(
      async () => {
        const { body } = await as(system, "admin", "GET", `/api/usage/events?token_id=${id}`);
        return body.items.length === 2 && body.items;
      },
      10_000,
      "both calls' records",
    );
    for (const { credential, status, prompt_tokens } of items)
      assert.deepEqual([credential, status, prompt_tokens > 0], ["right", 200, true]);
    const refused = items.flatMap((one) => one.refused ?? []);
    assert.deepEqual(
      refused,
      [
        { credential: "busy", status: 429 },
        { credential: "wrong", status: 401 },
      ],
      "once; then they rest",
    );
  });
}
