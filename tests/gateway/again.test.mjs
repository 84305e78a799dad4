// Calls that are sent again after a wait, on routes that say so.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { listen } from "../../local/listen.mjs";
import { eventually, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";

let system;
let vendor;
let token;
/** The vendor's responses to each call, by its id: statuses with headers; 200 after the last. */
const scripts = {};
/** The requests of each call that the vendor saw. */
const seen = {};

const BUSY = (seconds) => [429, { "retry-after": String(seconds) }];
const USAGE = { prompt_tokens: 9, completion_tokens: 6, total_tokens: 15 };
const COMPLETION = {
  id: "c1",
  object: "chat.completion",
  created: 1,
  model: "demo-1",
  choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: "Hello" } }],
  usage: USAGE,
};

before(async () => {
  system = await startOnSockets();
  vendor = createServer(async (request, response) => {
    const { "x-request-id": id = "", authorization } = request.headers;
    let body = "";
    for await (const piece of request) body += piece;
    const all = (seen[String(id)] ??= []);
    all.push({ at: Date.now(), body, key: authorization });
    const [status, headers] = scripts[String(id)]?.[all.length - 1] ?? [200, {}];
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(status === 200 ? JSON.stringify(COMPLETION) : `{"error":{"message":"busy"}}`);
  });
  const base = `http://127.0.0.1:${await listen(vendor)}`;
  const waits = (retry_within_s, more) => ({ settings: { retry_within_s, ...more } });
  const bearer = (token) => ({ kind: "bearer", token });
  const members = ["a", "b"].map((name) => ({ name, credential: bearer(`key-${name}`) }));
  await system.kv.put("prices", '{"v":1,"prices":{"demo-1":{"prompt":1000000,"completion":2000000}}}');
  await putRoutes(system, [
    ["/api/never", base],
    ["/api/waits", base, waits(2)],
    ["/api/long", base, waits(30)],
    ["/api/any", base, waits(2, { retry_any_method: true })],
    ["/api/ai", `${base}/v1`, waits(2, { ai: { provider: "openai" } })],
    ["/api/pool", base, { ...waits(2), credential: { kind: "pool", members } }],
    [
      "/api/both",
      base,
      waits(2, { failover: { route_id: "rte__api_never", any_method: true, on_refusal: true } }),
    ],
  ]);
  token = await putToken(system, { id: "tok_again" });
  await eventually(async () => (await call("/api/never", [])).status === 200);
});
after(async () => {
  await Promise.all([system?.stop(), vendor?.close()]);
});

const newId = () => `again-${Math.random().toString(36).slice(2, 14)}`;

/** Makes a call that the vendor responds to as told. */
async function call(where, script, init = {}) {
  const id = newId();
  scripts[id] = script;
  const began = Date.now();
  const headers = { "x-api-key": token, "x-request-id": id, ...init.headers };
  const response = await system.gateway(where, { ...init, headers });
  const text = await response.text();
  return {
    id,
    status: response.status,
    headers: response.headers,
    text,
    ms: Date.now() - began,
    seen: seen[id] ?? [],
  };
}
const post = (where, script, body = "x".repeat(10_000)) => call(where, script, { method: "POST", body });
const event = (id) =>
  eventually(async () => (await system.usage.events({ request_id: id }))[0], 10_000, `the event of ${id}`);

test("a call that is one too many is sent again after Retry-After, with its whole body, and counted once", async () => {
  const { id, status, ms, seen } = await post("/api/waits", [BUSY(1)]);
  assert.deepEqual([status, seen.length], [200, 2]);
  assert.ok(seen[1].at - seen[0].at >= 990, `after ${seen[1].at - seen[0].at} ms`);
  assert.ok(ms < 2_000, `${ms} ms`);
  assert.deepEqual([seen[0].body.length, seen[0].body], [10_000, seen[1].body]);
  const row = await event(id);
  assert.deepEqual([row.outcome, row.retries], ["ok", 1]);
  assert.ok(row.latency_ms >= 990 && row.gateway_ms < 500, `${row.latency_ms} ms, ${row.gateway_ms} ms`);
});

test("the time may be a date", async () => {
  const date = new Date(Date.now() + 1_999).toUTCString();
  const { status, seen } = await post("/api/waits", [[429, { "retry-after": date }]]);
  assert.deepEqual([status, seen.length], [200, 2]);
  assert.ok(seen[1].at >= Date.parse(date) - 10);
});

test("without a time it is half a second, then a second", async () => {
  const { id, status, seen } = await post("/api/waits", [[429], [529]]);
  assert.deepEqual([status, seen.length], [200, 3]);
  const [first, second] = [seen[1].at - seen[0].at, seen[2].at - seen[1].at];
  assert.ok(first >= 490 && first < 990 && second >= 990, `${first} ms, ${second} ms`);
  assert.equal((await event(id)).retries, 2);
});

test("a longer time than the route's is the client's at once, alone or with an earlier wait", async () => {
  const { id, status, headers, ms, seen, text } = await post("/api/waits", [BUSY(3)]);
  assert.deepEqual([status, headers.get("retry-after"), seen.length], [429, "3", 1]);
  assert.equal(text, '{"error":{"message":"busy"}}');
  assert.ok(ms < 3_000, `${ms} ms`);
  assert.equal((await event(id)).retries, 0);
  const later = await post("/api/waits", [BUSY(1), BUSY(2)]);
  assert.deepEqual([later.status, later.headers.get("retry-after"), later.seen.length], [429, "2", 2]);
  const thrice = await post("/api/waits", [BUSY(0), BUSY(0), BUSY(0)]);
  assert.deepEqual([thrice.status, thrice.seen.length], [429, 3], "twice at most");
});

test("a call that may have been carried out is only repeated if that does no harm, or the route says so", async () => {
  for (const [status, headers = {}] of [[500], [503], [500, { "retry-after": "1" }]]) {
    const once = await post("/api/waits", [[status, headers]]);
    assert.deepEqual([once.status, once.seen.length], [status, 1]);
  }
  const again = async (made) => {
    const { status, seen } = await made;
    assert.deepEqual([status, seen.length], [200, 2]);
  };
  await again(call("/api/waits", [[500]]));
  await again(call("/api/waits", [[502]], { method: "PUT", body: "put" }));
  await again(post("/api/any", [[500]]));
  await again(post("/api/waits", [[503, { "retry-after": "1" }]]));
  for (const status of [400, 401, 403, 404]) {
    const { seen, ...got } = await post("/api/any", [[status, { "retry-after": "1" }]]);
    assert.deepEqual([got.status, seen.length], [status, 1]);
  }
});

test("a route that does not say so, and a body that is too long to be held, wait for nothing", async () => {
  for (const made of [post("/api/never", [BUSY(2)]), post("/api/waits", [BUSY(2)], "x".repeat(11 << 20))]) {
    const { status, seen, ms } = await made;
    assert.deepEqual([status, seen.length], [429, 1]);
    assert.ok(ms < 2_000, `${ms} ms`);
  }
});

test("a client that leaves while its call waits ends it: one event, no slot, no money, no further try", async () => {
  const limits = { concurrent_calls: 1, cost_micros_per_day: 5_000_000 };
  const own = await putToken(system, { id: "tok_leaves", limits });
  const chat = { method: "POST", body: '{"model":"demo-1","max_tokens":5}' };
  await eventually(async () => {
    const response = await system.gateway("/api/never", { headers: { "x-api-key": own } });
    return (await response.text(), response.status === 200);
  });
  const id = newId();
  scripts[id] = [BUSY(2)];
  const when = eventually(() => seen[id]?.length === 1).then(() => sleep(300));
  const headers = { "x-api-key": own, "x-request-id": id };
  const { hung_up } = await system.hangUp("/api/ai/chat/completions", { ...chat, headers }, { when });
  assert.ok(hung_up);
  const row = await event(id);
  assert.deepEqual([row.outcome, row.status, row.retries, row.cost_micros], ["client-gone", 499, 0, null]);
  const uses = await eventually(async () => {
    const uses = await system.uses("tok_leaves", limits);
    return uses.every((use) => use.reserved === 0) && uses;
  });
  assert.deepEqual(
    uses.map(({ kind, used }) => [kind, used]),
    [
      ["concurrent-calls", 0],
      ["cost-micros-per-day", 0],
    ],
  );
  const next = await system.gateway("/api/ai/chat/completions", { ...chat, headers: { "x-api-key": own } });
  assert.equal((await next.text(), next.status), 200, "its slot is free");
  await sleep(2_000);
  assert.equal(seen[id].length, 1);
  assert.equal((await system.usage.events({ request_id: id })).length, 1);
});

test("a token that is revoked while its call waits makes no further one", async () => {
  const own = await putToken(system, { id: "tok_revoked" });
  const begin = call("/api/long", [BUSY(7)], { headers: { "x-api-key": own } });
  await sleep(500);
  await putToken(system, { id: "tok_revoked", state: "revoked", version: 2 }, own);
  const { id, status, headers, seen } = await begin;
  assert.deepEqual([status, headers.get("retry-after"), seen.length], [429, "7", 1]);
  assert.equal((await event(id)).retries, 0);
});

test("an AI call that is sent again is reserved and settled once", async () => {
  const limits = { cost_micros_per_day: 5_000_000, calls_per_day: 100 };
  const id = "tok_settled";
  const own = await putToken(system, { id, limits });
  const headers = { "x-api-key": own, "content-type": "application/json" };
  const body = '{"model":"demo-1","max_tokens":5}';
  const made = await call("/api/ai/chat/completions", [BUSY(1)], { method: "POST", body, headers });
  assert.deepEqual([made.status, made.seen.length], [200, 2]);
  const row = await event(made.id);
  assert.deepEqual([row.retries, row.model, row.cost_micros], [1, "demo-1", 21]);
  const uses = await eventually(async () => {
    const uses = await system.uses(id, limits);
    return uses.some((use) => use.used === 21) && uses;
  });
  assert.deepEqual(uses.map(({ kind, used }) => [kind, used]).sort(), [
    ["calls-per-day", 1],
    ["cost-micros-per-day", 21],
  ]);
});

test("the wait comes after a pool's other credentials and after the second upstream", async () => {
  const pool = await post("/api/pool", [BUSY(1), [401, {}]]);
  const keys = pool.seen.map(({ key }) => key);
  assert.deepEqual([pool.status, keys], [200, ["Bearer key-a", "Bearer key-b", "Bearer key-a"]]);
  const row = await event(pool.id);
  assert.deepEqual([row.retries, row.credential, row.refused.length], [1, "a", 2]);
  const both = await post("/api/both", [BUSY(20), BUSY(1)]);
  assert.deepEqual([both.status, both.seen.length, both.seen[0].body], [200, 3, both.seen[2].body]);
  assert.deepEqual([(await event(both.id)).retries, (await event(both.id)).second], [1, false]);
});

test("OpenAI's own client, told to repeat nothing, does not notice", async () => {
  const id = newId();
  scripts[id] = [BUSY(1)];
  const client = new OpenAI({ apiKey: token, baseURL: `${system.urls.gateway}/api/ai`, maxRetries: 0 });
  const { choices } = await client.chat.completions.create(
    { model: "demo-1", messages: [{ role: "user", content: "Hello" }] },
    { headers: { "x-request-id": id } },
  );
  assert.deepEqual([choices[0].message.content, seen[id].length], ["Hello", 2]);
});
