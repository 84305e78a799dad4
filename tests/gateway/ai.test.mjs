// AI calls on the real runtime: what was used and what it cost, the answer untouched, and budgets that
// hold whatever comes at once.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { eventually, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";

const PRICES = { v: 1, prices: { "demo-1": { prompt: 1_000_000, completion: 2_000_000 } } };
/** Micro-dollars of `demo-1`: 1 for a prompt token, 2 for a completion token. */
const cost = (prompt, completion) => prompt + 2 * completion;

let system;
let upstream;
/** What the vendor says that it charged, micro-dollars by caller. */
const charged = {};

before(async () => {
  system = await startOnSockets({ faults: true });
  upstream = await startVendor();
  const openai = (more) => ({ settings: { ai: { provider: "openai", ...more } } });
  await system.kv.put("prices", JSON.stringify(PRICES));
  await putRoutes(system, [
    ["/api/openai", "/v1", openai({})],
    ["/api/asking", "/v1", openai({ include_usage: true })],
    ["/api/vendor", upstream.url, openai({})],
    ["/api/echo", "/echo"],
  ]);
  const token = await putToken(system);
  await eventually(async () => (await system.gateway("/api/echo", { headers: { "x-api-key": token } })).status === 200);
});
after(async () => {
  await system?.stop();
  upstream?.close();
});

/** A vendor whose answers are of random size, plain or streamed, and who charges what it generated. */
function startVendor() {
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const { max_tokens: most, stream, caller, compressed } = JSON.parse(text);
    const [prompt, completion] = [Math.ceil(text.length / 4), 1 + Math.floor(Math.random() * most)];
    charged[caller] = (charged[caller] ?? 0) + cost(prompt, completion);
    const usage = { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
    if (!stream) {
      const body = JSON.stringify({ model: "demo-1", choices: [], usage });
      const headers = { "content-type": "application/json", ...(compressed && { "content-encoding": "gzip" }) };
      return response.writeHead(200, headers).end(compressed ? gzipSync(body) : body);
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (let i = 0; i < 5; i++) {
      response.write(`data: ${JSON.stringify({ model: "demo-1", choices: [{ delta: { content: "é".repeat(50) } }] })}\n\n`);
      await sleep(20);
    }
    response.end(`data: ${JSON.stringify({ model: "demo-1", choices: [], usage })}\n\ndata: [DONE]\n\n`);
  });
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve({ url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() })),
  );
}

const post = (token, where, body, init = {}) =>
  system.gateway(where, { method: "POST", body: JSON.stringify(body), ...init, headers: { "x-api-key": token, "content-type": "application/json" } });
const event = (id) =>
  eventually(() => system.db.prepare("SELECT * FROM usage_events WHERE token_id = ? ORDER BY at DESC").bind(id).first(), 10_000, `an event of ${id}`);

test("a plain answer is recorded with its model, tokens and cost", async () => {
  const token = await putToken(system, { id: "tok_ai_plain" });
  const answer = await (await post(token, "/api/openai/chat/completions", { model: "demo-1" })).json();
  assert.equal(answer.usage.prompt_tokens, 9);
  const row = await event("tok_ai_plain");
  assert.deepEqual([row.model, row.prompt_tokens, row.completion_tokens, row.cost_micros], ["demo-1", 9, 6, cost(9, 6)]);
});

test("a stream arrives byte for byte, chunk by chunk, and is recorded with its bytes", async () => {
  const token = await putToken(system, { id: "tok_ai_stream" });
  const direct = await fetch(`${system.upstream.url}/v1/chat/completions`, { method: "POST", body: JSON.stringify({ model: "demo-1", stream: true }) });
  const started = Date.now();
  const response = await post(token, "/api/openai/chat/completions", { model: "demo-1", stream: true });
  const arrivals = [];
  const pieces = [];
  for await (const piece of response.body) {
    arrivals.push(Date.now() - started);
    pieces.push(piece);
  }
  const text = Buffer.concat(pieces).toString();
  const plain = (sse) => sse.replace(/"created":\d+/g, "");
  assert.equal(plain(text), plain(await direct.text()));
  assert.ok(arrivals[0] < 400 && arrivals.at(-1) > 600, `${arrivals}`);
  const row = await event("tok_ai_stream");
  assert.deepEqual([row.model, row.prompt_tokens, row.cost_micros, row.bytes_out], ["demo-1", null, null, Buffer.byteLength(text)], "unknown, not 0");
});

test("a route may ask for the usage of streams that do not", async () => {
  const token = await putToken(system, { id: "tok_ai_asking" });
  const response = await post(token, "/api/asking/chat/completions", { model: "demo-1", stream: true });
  assert.match(await response.text(), /"usage":\{"prompt_tokens":9/);
  const row = await event("tok_ai_asking");
  assert.deepEqual([row.prompt_tokens, row.completion_tokens, row.cost_micros], [9, 6, cost(9, 6)]);
  assert.equal(system.upstream.requests.at(-1).body, '{"stream_options":{"include_usage":true},"model":"demo-1","stream":true}');
});

test("a compressed answer is read and arrives whole", async () => {
  const token = await putToken(system, { id: "tok_ai_gzip" });
  const response = await post(token, "/api/vendor/x", { model: "demo-1", max_tokens: 5, caller: "gzip", compressed: true });
  const answer = await response.json();
  const row = await event("tok_ai_gzip");
  assert.deepEqual([row.prompt_tokens, row.completion_tokens], [answer.usage.prompt_tokens, answer.usage.completion_tokens]);
});

test("a reached budget refuses AI calls alone, until it begins anew", async () => {
  const token = await putToken(system, { id: "tok_ai_budget", limits: { cost_micros_per_month: 30 } });
  const ask = () => post(token, "/api/openai/chat/completions", { model: "demo-1", max_tokens: 6 });
  assert.equal((await ask()).status, 200);
  await event("tok_ai_budget");
  await eventually(async () => {
    const response = await ask();
    await response.text();
    return response.status === 429;
  });
  const refused = await ask();
  const body = await refused.json();
  assert.deepEqual([body.error, body.code], ["Quota Exceeded", "cost-quota-exceeded"]);
  const wait = Number(refused.headers.get("retry-after"));
  assert.ok(wait > 0 && wait <= 31 * 86_400, String(wait));
  assert.equal((await system.gateway("/api/echo", { headers: { "x-api-key": token } })).status, 200, "what costs nothing goes on");
});

test("an AI call under a mere rate limit asks its counter once, and reserves nothing", async () => {
  const token = await putToken(system, { limits: { calls_per_day: 100 } });
  const before = (await system.faults("gateway")).counts.limiter;
  const response = await post(token, "/api/openai/chat/completions", { model: "demo-1", max_tokens: 6 });
  await response.text();
  await sleep(1_000);
  assert.equal((await system.faults("gateway")).counts.limiter - before, 1);
});

test("AI tokens are a budget of their own", async () => {
  const token = await putToken(system, { limits: { ai_tokens_per_day: 10 } });
  const ask = async () => {
    const response = await post(token, "/api/openai/chat/completions", { model: "demo-1", max_tokens: 6 });
    return [response.status, (await response.json()).code];
  };
  assert.deepEqual(await ask(), [200, undefined]);
  await eventually(async () => (await ask())[1] === "ai-token-quota-exceeded", 5_000, "the budget being used up");
});

test("the counter away: what costs money waits", async () => {
  const token = await putToken(system, { limits: { cost_micros_per_month: 1_000_000 } });
  const ask = () => post(token, "/api/openai/chat/completions", { model: "demo-1", max_tokens: 6 });
  await system.faults("gateway", { limiter: { fail: true } });
  try {
    const refused = await ask();
    assert.deepEqual([refused.status, (await refused.json()).code], [503, "limits-unavailable"]);
  } finally {
    await system.faults("gateway", { limiter: {} });
  }
  assert.equal((await ask()).status, 200);
});

test("200 streams at once near the cap, hang-ups, a restarted counter: never more than one reservation over", async () => {
  const id = "tok_ai_attack";
  const most = 40;
  const body = { model: "demo-1", max_tokens: most, stream: true, caller: id };
  const reservation = JSON.stringify(body).length + 2 * most;
  const cap = 20 * reservation;
  const token = await putToken(system, { id, limits: { cost_micros_per_month: cap } });
  const one = async (i) => {
    const abort = new AbortController();
    if (i % 3 === 0) setTimeout(() => abort.abort(), 30 + Math.random() * 90);
    try {
      const response = await post(token, "/api/vendor/chat/completions", body, { signal: abort.signal });
      await response.text();
      return response.status;
    } catch {
      return "gone";
    }
  };
  const restarts = (async () => {
    for (let i = 0; i < 6; i++) {
      await sleep(60);
      await fetch(`${system.urls.gateway}/__restart/${id}`);
    }
  })();
  const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => one(i)));
  await restarts;
  const count = (what) => answers.filter((answer) => answer === what).length;
  assert.ok(count(200) > 5 && count(429) > 50, JSON.stringify({ ok: count(200), limited: count(429), gone: count("gone"), away: count(503) }));
  assert.ok(charged[id] < cap + reservation, `${charged[id]} of ${cap}`);
  const uses = await eventually(async () => {
    const now = await limitUses(id, cap);
    return now.reserved === 0 && now;
  }, 10_000, "every reservation being settled");
  assert.ok(uses.used >= charged[id], `the ledger says ${uses.used}, the vendor ${charged[id]}`);
  assert.ok(uses.used < cap + reservation, `${uses.used} of ${cap}`);
});

/** How the cap stands, by the object itself. */
async function limitUses(id, cap) {
  const response = await fetch(`${system.urls.gateway}/__limiter/${id}`, {
    method: "POST",
    body: JSON.stringify({ uses: { limits: { cost_micros_per_month: cap } } }),
  });
  return (await response.json())[0];
}
