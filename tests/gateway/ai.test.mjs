// AI calls on the real runtime: usage and cost, an unchanged response, and budgets that hold under any
// concurrent load.
// Its lines stay in one file: each file starts a system of its own, which takes seconds.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { WebSocket } from "ws";
import { listen } from "../../local/listen.mjs";
import { eventually, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";

const PRICES = { v: 1, prices: { "demo-1": { prompt: 1_000_000, completion: 2_000_000 } } };
/** Micro-dollars of `demo-1`: 1 for a prompt token, 2 for a completion token. */
const cost = (prompt, completion) => prompt + 2 * completion;

let system;
let upstream;
/** The vendor's own charges, in micro-dollars by caller. */
const charged = {};
/** Headers of the calls that reached the vendor. */
const vendorSaw = [];

before(async () => {
  system = await startOnSockets({ faults: true });
  upstream = await startVendor();
  const speaks = (provider) => (more, second) => ({
    settings: {
      ai: { provider, ...more },
      ...(second && { failover: { route_id: second, any_method: true } }),
    },
  });
  const [openai, compatible] = [speaks("openai"), speaks("openai-compatible")];
  await system.kv.put("prices", JSON.stringify(PRICES));
  await putRoutes(system, [
    ["/api/openai", "/v1", openai({})],
    ["/api/asking", "/v1", openai({ include_usage: true })],
    ["/api/vendor", upstream.url, openai({})],
    ["/api/gemini", upstream.url, { settings: { ai: { provider: "gemini" } } }],
    ["/api/anthropic", upstream.url, { settings: { ai: { provider: "anthropic" } } }],
    ["/api/realtime", "/socket", openai({})],
    ["/api/echo", "/echo"],
    // `POST /moderations` is free at OpenAI and metered elsewhere. Nobody listens on port 9.
    ["/api/paid", upstream.url, compatible({})],
    ["/api/free-first", "/v1", openai({}, "rte__api_paid")],
    ["/api/free-away", "http://127.0.0.1:9", openai({}, "rte__api_paid")],
    ["/api/paid-first", upstream.url, compatible({}, "rte__api_openai")],
    ["/api/paid-away", "http://127.0.0.1:9", compatible({}, "rte__api_openai")],
  ]);
  const token = await putToken(system);
  await eventually(
    async () => (await system.gateway("/api/echo", { headers: { "x-api-key": token } })).status === 200,
  );
});
after(async () => {
  await system?.stop();
  upstream?.close();
});

/**
 * A vendor whose responses have random sizes, plain or streamed, and which charges for what it generated. A
 * request may script the response: `{ script: { headers, pieces, breaks } }`.
 */
function startVendor() {
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    vendorSaw.push(request.headers);
    const { max_tokens: most, stream, caller, compressed, script } = JSON.parse(text || "{}");
    if (script) {
      response.writeHead(200, { "content-type": "application/json", ...script.headers });
      for (const piece of script.pieces) response.write(piece);
      await sleep(50);
      return script.breaks ? response.destroy() : response.end();
    }
    const [prompt, completion] = [Math.ceil(text.length / 4), 1 + Math.floor(Math.random() * most)];
    charged[caller] = (charged[caller] ?? 0) + cost(prompt, completion);
    const usage = { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
    if (!stream) {
      const body = JSON.stringify({ model: "demo-1", choices: [], usage });
      const headers = {
        "content-type": "application/json",
        ...(compressed && { "content-encoding": "gzip" }),
      };
      return response.writeHead(200, headers).end(compressed ? gzipSync(body) : body);
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (let i = 0; i < 5; i++) {
      response.write(
        `data: ${JSON.stringify({ model: "demo-1", choices: [{ delta: { content: "é".repeat(50) } }] })}\n\n`,
      );
      await sleep(20);
    }
    response.end(`data: ${JSON.stringify({ model: "demo-1", choices: [], usage })}\n\ndata: [DONE]\n\n`);
  });
  return listen(server).then((port) => ({ url: `http://127.0.0.1:${port}`, close: () => server.close() }));
}

const post = (token, where, body, init = {}) =>
  system.gateway(where, {
    method: "POST",
    body: JSON.stringify(body),
    ...init,
    headers: { "x-api-key": token, "content-type": "application/json" },
  });
const event = (id) =>
  eventually(async () => (await system.usage.events({ token_id: id }))[0], 10_000, `an event of ${id}`);

test("a plain response is recorded with its model, tokens and cost", async () => {
  const token = await putToken(system, { id: "tok_ai_plain" });
  const answer = await (await post(token, "/api/openai/chat/completions", { model: "demo-1" })).json();
  assert.equal(answer.usage.prompt_tokens, 9);
  const row = await event("tok_ai_plain");
  assert.deepEqual(
    [row.model, row.prompt_tokens, row.completion_tokens, row.cost_micros],
    ["demo-1", 9, 6, cost(9, 6)],
  );
});

test("a stream arrives byte for byte, chunk by chunk, and is recorded with its bytes", async () => {
  const token = await putToken(system, { id: "tok_ai_stream" });
  const direct = await fetch(`${system.upstream.url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ model: "demo-1", stream: true }),
  });
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
  assert.deepEqual(
    [row.model, row.prompt_tokens, row.cost_micros, row.bytes_out],
    ["demo-1", null, null, Buffer.byteLength(text)],
    "unknown, not 0",
  );
});

test("a route can ask for the usage of streams whose client did not ask", async () => {
  const token = await putToken(system, { id: "tok_ai_asking" });
  const response = await post(token, "/api/asking/chat/completions", { model: "demo-1", stream: true });
  assert.match(await response.text(), /"usage":\{"prompt_tokens":9/);
  const row = await event("tok_ai_asking");
  assert.deepEqual([row.prompt_tokens, row.completion_tokens, row.cost_micros], [9, 6, cost(9, 6)]);
  assert.equal(
    system.upstream.requests.at(-1).body,
    '{"stream_options":{"include_usage":true},"model":"demo-1","stream":true}',
  );
});

test("a compressed response is read and arrives whole", async () => {
  const token = await putToken(system, { id: "tok_ai_gzip" });
  const response = await post(token, "/api/vendor/x", {
    model: "demo-1",
    max_tokens: 5,
    caller: "gzip",
    compressed: true,
  });
  const answer = await response.json();
  const row = await event("tok_ai_gzip");
  assert.deepEqual(
    [row.prompt_tokens, row.completion_tokens],
    [answer.usage.prompt_tokens, answer.usage.completion_tokens],
  );
});

test("a budget that is used up refuses only AI calls, until its next period", async () => {
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
  assert.equal(
    (await system.gateway("/api/echo", { headers: { "x-api-key": token } })).status,
    200,
    "free calls still pass",
  );
});

test("an AI call with only a rate limit asks its counter once and reserves nothing", async () => {
  const token = await putToken(system, { limits: { calls_per_day: 100 } });
  const before = (await system.faults("gateway")).counts.limiter;
  const response = await post(token, "/api/openai/chat/completions", { model: "demo-1", max_tokens: 6 });
  await response.text();
  await sleep(1_000);
  assert.equal((await system.faults("gateway")).counts.limiter - before, 1);
});

test("AI tokens have a budget of their own", async () => {
  const token = await putToken(system, { limits: { ai_tokens_per_day: 10 } });
  const ask = async () => {
    const response = await post(token, "/api/openai/chat/completions", { model: "demo-1", max_tokens: 6 });
    return [response.status, (await response.json()).code];
  };
  assert.deepEqual(await ask(), [200, undefined]);
  await eventually(
    async () => (await ask())[1] === "ai-token-quota-exceeded",
    5_000,
    "the budget being used up",
  );
});

test("while the counter is unreachable, calls that cost money are refused", async () => {
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

test("200 streams at once near the cap, with hang-ups and a restarted counter, exceed it by one reservation at most", async () => {
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
  assert.ok(
    count(200) > 5 && count(429) > 50,
    JSON.stringify({ ok: count(200), limited: count(429), gone: count("gone"), away: count(503) }),
  );
  assert.ok(charged[id] < cap + reservation, `${charged[id]} of ${cap}`);
  const uses = await eventually(
    async () => {
      const now = await limitUses(id, cap);
      return now.reserved === 0 && now;
    },
    10_000,
    "every reservation being settled",
  );
  assert.ok(uses.used >= charged[id], `the ledger says ${uses.used}, the vendor ${charged[id]}`);
  assert.ok(uses.used < cap + reservation, `${uses.used} of ${cap}`);
});

test("calls by lease, with a counter that restarts, exceed a cap by less than one reservation", async () => {
  const id = "tok_ai_leased";
  const body = { model: "demo-1", max_tokens: 20, caller: id };
  const reservation = JSON.stringify(body).length + 2 * 20;
  const cap = 400 * reservation;
  const token = await putToken(system, { id, limits: { cost_micros_per_month: cap } });
  const before = (await system.faults("gateway")).counts.limiter;
  const calls = [];
  for (let i = 0; i < 200; i++) {
    calls.push(post(token, "/api/vendor/chat/completions", body).then((r) => r.text().then(() => r.status)));
    await sleep(20);
  }
  assert.deepEqual([...new Set(await Promise.all(calls))], [200]);
  const asked = (await system.faults("gateway")).counts.limiter - before;
  assert.ok(asked < 150, `${asked} questions for 200 calls`);
  for (let i = 0; i < 30; i++) {
    const round = Array.from({ length: 40 }, () => post(token, "/api/vendor/chat/completions", body));
    if (i % 3 === 0) await fetch(`${system.urls.gateway}/__restart/${id}`);
    await Promise.all((await Promise.all(round)).map((response) => response.text()));
  }
  assert.ok(charged[id] > cap / 2 && charged[id] < cap + reservation, `${charged[id]} of ${cap}`);
  const uses = await eventually(
    async () => {
      const now = await limitUses(id, cap);
      return now.used >= charged[id] && now;
    },
    15_000,
    "everything being counted",
  );
  assert.ok(uses.used + uses.reserved >= charged[id]);
});

test("ten tokens of a team, with hang-ups and restarts of all counters, pass its budget by less than one reservation", async () => {
  const team = "attacked";
  const most = 40;
  const body = { model: "demo-1", max_tokens: most, stream: true, caller: team };
  const reservation = JSON.stringify(body).length + 2 * most;
  const cap = 20 * reservation;
  const ids = Array.from({ length: 10 }, (_, i) => `tok_ai_team_${i}`);
  const team_budget = { cost_micros_per_month: cap };
  const tokens = await Promise.all(ids.map((id) => putToken(system, { id, team, team_budget })));
  const one = async (i) => {
    const abort = new AbortController();
    if (i % 3 === 0) setTimeout(() => abort.abort(), 30 + Math.random() * 200);
    try {
      const init = { signal: abort.signal };
      const response = await post(tokens[i % 10], "/api/vendor/chat/completions", body, init);
      await response.text();
      return response.status;
    } catch {
      return "gone";
    }
  };
  const restarts = (async () => {
    for (let i = 0; i < 6; i++) {
      await sleep(100);
      await fetch(`${system.urls.gateway}/__restart/${i % 2 ? `team:${team}` : ids[i]}`);
    }
  })();
  const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => one(i)));
  await restarts;
  const count = (what) => answers.filter((answer) => answer === what).length;
  assert.ok(
    count(200) > 5 && count(429) > 50,
    JSON.stringify({ ok: count(200), limited: count(429), gone: count("gone"), away: count(503) }),
  );
  assert.ok(charged[team] < cap + reservation, `${charged[team]} of ${cap}`);
  const counted = await eventually(
    async () => {
      const [now] = await allUses(`team:${team}`, team_budget);
      return now.used >= charged[team] && now;
    },
    40_000,
    "the team having heard of everything",
  );
  assert.ok(counted.used < 1.1 * cap + reservation, `${counted.used} of ${cap}`);
});

/** The use of the cap, from the object itself. */
const limitUses = async (id, cap) => (await allUses(id, { cost_micros_per_month: cap }))[0];

async function allUses(id, limits) {
  const response = await fetch(`${system.urls.gateway}/__limiter/${id}`, {
    method: "POST",
    body: JSON.stringify({ uses: { limits } }),
  });
  return response.json();
}

/** The spent amounts, once no reservation is left. */
const spent = (id, limits) =>
  eventually(
    async () => {
      const uses = await allUses(id, limits);
      return uses.every((use) => use.reserved === 0) && uses.map((use) => use.used);
    },
    10_000,
    "every reservation being settled",
  );

const FIVE_DOLLARS = { cost_micros_per_day: 5_000_000, ai_tokens_per_day: 1_000_000 };

/** Calls that cost nothing: `[method, path, body]`. */
const FREE = [
  ["GET", "/models"],
  ["POST", "/files", "file"],
  ["GET", "/responses/resp-demo"],
  ["GET", "/chat/completions/chatcmpl-demo"],
  ["GET", "/batches/batch-demo"],
  ["POST", "/moderations", "{}"],
];

async function free(token, i) {
  const [method, where, body] = FREE[i % FREE.length];
  const response = await system.gateway(`/api/openai${where}`, {
    method,
    body,
    headers: { "x-api-key": token },
  });
  await response.text();
  return response.status;
}

test("a thousand model lists, uploads and polls leave a $5 budget untouched", async () => {
  const id = "tok_ai_free";
  const token = await putToken(system, { id, limits: FIVE_DOLLARS });
  for (let i = 0; i < 1_000; i += 50) {
    const statuses = await Promise.all(Array.from({ length: 50 }, (_, k) => free(token, i + k)));
    assert.deepEqual([...new Set(statuses)], [200]);
  }
  assert.deepEqual(await spent(id, FIVE_DOLLARS), [0, 0]);
  await eventually(
    async () => (await system.usage.calls({ token: id })) === 1_000,
    20_000,
    "a thousand events",
  );
  const ai = (await system.usage.events({ token_id: id })).filter((row) => row.prompt_tokens !== null);
  assert.equal(ai.length, 0, "tokens of a stored response are not counted again");
});

test("a call over two upstreams is charged by the one that responded", async () => {
  const limits = { ...FIVE_DOLLARS, ai_tokens_per_call: 1_000, cost_micros_per_call: 100_000 };
  for (const [name, isCharged] of /** @type {any[][]} */ ([
    ["free-first", false],
    ["free-away", true],
    ["paid-first", true],
    ["paid-away", false],
  ])) {
    const id = `tok_ai_${name}`;
    const token = await putToken(system, { id, limits });
    const response = await post(token, `/api/${name}/moderations`, {
      model: "demo-1",
      input: "hi",
      max_tokens: 20,
      caller: id,
    });
    assert.equal(response.status, 200, name);
    await response.text();
    const [, micros] = await spent(id, FIVE_DOLLARS);
    assert.equal(micros > 0, isCharged, name);
    assert.equal(micros, charged[id] ?? 0, name);
  }
});

test("a paid call that states no usage stays spent as reserved, and free calls pass a spent budget", async () => {
  const id = "tok_ai_speech";
  const token = await putToken(system, { id, limits: FIVE_DOLLARS });
  for (let i = 0; i < 5; i++) {
    const response = await post(token, "/api/openai/audio/speech", { model: "demo-1", input: "hi" });
    assert.deepEqual([response.status, (await response.arrayBuffer()).byteLength], [200, 4096]);
  }
  assert.deepEqual(await spent(id, FIVE_DOLLARS), [1_000_000, 5_000_000]);
  const row = await event(id);
  assert.deepEqual([row.prompt_tokens, row.cost_micros, row.model], [null, null, "demo-1"], "unknown, not 0");
  const refused = await post(token, "/api/openai/audio/speech", { model: "demo-1", input: "hi" });
  assert.equal(refused.status, 429);
  await refused.text();
  for (let i = 0; i < FREE.length; i++) assert.equal(await free(token, i), 200, FREE[i].join(" "));
});

test("a background response is charged when it is submitted and never again when it is read", async () => {
  const id = "tok_ai_background";
  const token = await putToken(system, { id, limits: FIVE_DOLLARS });
  const body = { model: "demo-1", input: "x", background: true, max_output_tokens: 100 };
  assert.equal((await (await post(token, "/api/openai/responses", body)).json()).status, "queued");
  const length = JSON.stringify(body).length;
  const once = [length + 100, cost(length, 100)];
  assert.deepEqual(await spent(id, FIVE_DOLLARS), once);
  for (let i = 0; i < 20; i++) assert.equal(await free(token, 2), 200);
  assert.deepEqual(await spent(id, FIVE_DOLLARS), once);
});

test("a prompt given only by its id reserves the per-call ceiling", async () => {
  const token = await putToken(system, { id: "tok_ai_named", limits: { ai_tokens_per_day: 1_000 } });
  const body = { model: "demo-1", max_output_tokens: 16, previous_response_id: "resp_1", input: "." };
  const statuses = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const response = await post(token, "/api/vendor/responses", {
        ...body,
        script: { pieces: ['{"usage":{"input_tokens":5,"output_tokens":5}}'] },
      });
      await response.text();
      return response.status;
    }),
  );
  assert.deepEqual(
    statuses.filter((status) => status === 200).length,
    1,
    "one, whose settlement comes after the others were refused",
  );
});

/** One scripted call: the event's model, tokens and cost. */
async function scripted(route, script, more = {}) {
  const id = `tok_ai_script_${Math.random().toString(36).slice(2)}`;
  const token = await putToken(system, { id });
  const response = await post(token, route, { model: "demo-1", script }, more);
  const text = await response.text().catch(() => "cut");
  const row = await event(id);
  return { text, row, usage: [row.prompt_tokens, row.completion_tokens, row.cost_micros] };
}

const EVENTS = { "content-type": "text/event-stream" };
const CHAT_USAGE =
  'data: {"model":"demo-1","choices":[],"usage":{"prompt_tokens":21,"completion_tokens":8,"total_tokens":89}}\n\n';
const CHAT_END = 'data: {"model":"demo-1","choices":[{"finish_reason":"stop"}]}\n\n';
const MESSAGE_START =
  'data: {"type":"message_start","message":{"model":"demo-1","usage":{"input_tokens":21,"output_tokens":1}}}\n\n';

test("usage is recognised by its shape, whatever provider the route names", async () => {
  for (const route of [
    "/api/gemini/v1beta/openai/chat/completions",
    "/api/anthropic/v1/chat/completions",
    "/api/vendor/chat/completions",
  ]) {
    const plain =
      '{"model":"demo-1","choices":[],"usage":{"prompt_tokens":21,"completion_tokens":8,"total_tokens":89}}';
    assert.deepEqual((await scripted(route, { pieces: [plain] })).usage, [21, 68, cost(21, 68)], route);
    assert.deepEqual(
      (await scripted(route, { headers: EVENTS, pieces: [CHAT_USAGE, "data: [DONE]\n\n"] })).usage,
      [21, 68, cost(21, 68)],
      route,
    );
  }
});

test("a last chunk of zeros erases nothing, and a byte order mark hides nothing", async () => {
  const zeros = 'data: {"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}\n\n';
  const seen = await scripted("/api/vendor/chat/completions", {
    headers: EVENTS,
    pieces: ["\ufeff" + CHAT_USAGE, zeros, "data: [DONE]\n\n"],
  });
  assert.deepEqual(seen.usage, [21, 68, cost(21, 68)]);
});

test("a response is complete at its last message, not at the end of the connection", async () => {
  const broken = (pieces) =>
    scripted("/api/vendor/chat/completions", { headers: EVENTS, pieces, breaks: true });
  const whole = await broken([CHAT_END, CHAT_USAGE]);
  assert.deepEqual(
    [whole.text, whole.row.outcome, ...whole.usage],
    ["cut", "upstream-error", 21, 68, cost(21, 68)],
  );
  const part = await broken([MESSAGE_START]);
  assert.deepEqual(
    [part.text, part.row.model, ...part.usage],
    ["cut", "demo-1", null, null, null],
    "no part of a sum",
  );
});

test("metered calls ask for an encoding that the gateway can read, other calls for the client's own", async () => {
  const token = await putToken(system);
  const headers = { "x-api-key": token, "accept-encoding": "zstd, br" };
  const pieces = ['{"usage":{"prompt_tokens":1,"completion_tokens":1}}'];
  const asked = await system.gateway("/api/vendor/chat/completions", {
    method: "POST",
    body: JSON.stringify({ script: { pieces } }),
    headers,
  });
  await asked.text();
  assert.equal(vendorSaw.at(-1)["accept-encoding"], "identity");
  await (await system.gateway("/api/openai/models", { headers })).text();
  assert.equal(system.upstream.requests.at(-1).headers["accept-encoding"], "zstd, br");
  const opaque = await scripted("/api/vendor/chat/completions", {
    headers: { "content-encoding": "compress" },
    pieces,
  });
  assert.deepEqual(opaque.usage, [null, null, null], "unknown, not 0");
});

test("streams are asked for usage unless the client has said whether it wants usage", async () => {
  const token = await putToken(system);
  for (const [options, sent] of [
    ["{}", '{"include_usage":true}'],
    ['{"include_obfuscation":false}', '{"include_usage":true,"include_obfuscation":false}'],
    ['{"include_usage":false}', '{"include_usage":false}'],
  ]) {
    const body = `{"model":"demo-1","stream":true,"stream_options":${options}}`;
    const response = await system.gateway("/api/asking/chat/completions", {
      method: "POST",
      body,
      headers: { "x-api-key": token },
    });
    await response.text();
    assert.equal(system.upstream.requests.at(-1).body, body.replace(options, sent));
  }
});

test("a name of 300,000 bytes is clipped and causes no event to be dropped", async () => {
  const [long, other] = await Promise.all(
    ["tok_ai_long", "tok_ai_other"].map((id) => putToken(system, { id, limits: FIVE_DOLLARS })),
  );
  const model = "A".repeat(300_000);
  const headers = { "user-agent": "u".repeat(3_000), "cf-ipcountry": "c".repeat(3_000) };
  const [first] = await Promise.all([
    system.gateway(`/api/vendor/openai/deployments/${"d".repeat(8_000)}/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ model, script: { pieces: ["{}"] } }),
      headers: { ...headers, "x-api-key": long },
    }),
    post(long, "/api/vendor/chat/completions", { model, script: { pieces: [`{"model":"${model}"}`] } }),
    post(other, "/api/openai/chat/completions", { model: "demo-1" }),
  ]);
  assert.equal(first.status, 200);
  const count = (id) => system.usage.calls({ token: id });
  await eventually(
    async () => (await count("tok_ai_long")) === 2 && (await count("tok_ai_other")) === 1,
    10_000,
    "three events",
  );
  for (const row of await system.usage.events({ token_id: "tok_ai_long" }))
    assert.ok(
      row.model.length <= 100 && (row.country ?? "").length <= 8 && row.path.length <= 512,
      JSON.stringify(row),
    );
});

test("a socket on an AI route does not escape its budget: the reserved amount stays spent", async () => {
  const id = "tok_ai_socket";
  const token = await putToken(system, { id, limits: FIVE_DOLLARS });
  const socket = new WebSocket(`${system.urls.gateway.replace("http", "ws")}/api/realtime?model=demo-1`, {
    headers: { "x-api-key": token },
  });
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  socket.close();
  assert.deepEqual(await spent(id, FIVE_DOLLARS), [200_000, 1_000_000]);
});
