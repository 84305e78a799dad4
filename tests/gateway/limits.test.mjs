// Limits of a token on the real runtime: counted in its Durable Object, reported to the client, and their
// behaviour while the counter is unreachable.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";

let system;
before(async () => {
  system = await startOnSockets({ faults: true });
  await putRoutes(system, [
    ["/api/echo", "/echo"],
    ["/api/slow", "/slow"],
    ["/api/stream", "/stream"],
    ["/api/sink", "/sink"],
    ["/api/closed", "/echo", { settings: { maintenance: { message: "Back at noon.", retry_after_s: 90 } } }],
  ]);
  const token = await putToken(system);
  await eventually(async () => (await call(token)).status === 200);
});
after(() => system?.stop());

const call = async (token, where = "/api/echo", init = {}) => {
  const response = await system.gateway(where, { ...init, headers: { "x-api-key": token, ...init.headers } });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text.startsWith("{") ? JSON.parse(text) : text,
  };
};
const limited = (limits, more = {}) => putToken(system, { limits, ...more });

test("a rate limit admits exactly its number of calls, however many arrive at once, and tells what is left", async () => {
  const token = await limited({ calls_per_minute: 20 });
  const answers = await Promise.all(Array.from({ length: 60 }, () => call(token)));
  const by = (status) => answers.filter((answer) => answer.status === status);
  assert.deepEqual([by(200).length, by(429).length], [20, 40]);
  const refused = by(429)[0];
  assert.deepEqual([refused.body.error, refused.body.code], ["Rate Limit Exceeded", "rate-limit-exceeded"]);
  const wait = Number(refused.headers.get("retry-after"));
  assert.ok(wait >= 50 && wait <= 62, String(wait));
  assert.equal(refused.headers.get("ratelimit-policy"), '"calls-per-minute";q=20;w=60');
  assert.match(refused.headers.get("ratelimit"), /^"calls-per-minute";r=0;t=\d+$/);
  const last = by(200)
    .map((answer) => /r=(\d+)/.exec(answer.headers.get("ratelimit"))[1])
    .map(Number);
  assert.deepEqual([Math.min(...last), Math.max(...last)], [0, 19]);
});

test("after Retry-After the call is admitted", async () => {
  const token = await limited({ calls_per_second: 2 });
  const first = await Promise.all([call(token), call(token), call(token)]);
  const refused = first.find((answer) => answer.status === 429);
  await sleep(Number(refused.headers.get("retry-after")) * 1000 + 50);
  assert.equal((await call(token)).status, 200);
});

test("a call counts as concurrent until its last byte", async () => {
  const token = await limited({ concurrent_calls: 2 });
  const streams = await Promise.all(
    [1, 2].map(() =>
      system.gateway("/api/stream?chunks=4&interval_ms=300", { headers: { "x-api-key": token } }),
    ),
  );
  const refused = await call(token);
  assert.deepEqual(
    [refused.status, refused.body.code, refused.headers.get("retry-after")],
    [429, "too-many-concurrent-calls", "1"],
  );
  await Promise.all(streams.map((stream) => stream.text()));
  await eventually(async () => (await call(token)).status === 200, 3_000, "the slots being free again");
});

test("a client that hangs up frees its slot", async () => {
  const token = await limited({ concurrent_calls: 1 });
  const abort = new AbortController();
  const stream = await system.gateway("/api/stream?chunks=50&interval_ms=200", {
    headers: { "x-api-key": token },
    signal: abort.signal,
  });
  const reader = stream.body.getReader();
  await reader.read();
  abort.abort();
  await reader.read().catch(() => {});
  await eventually(async () => (await call(token)).status === 200, 10_000, "the slot being free again");
});

test("a token without counted limits never asks a counter", async () => {
  const before = (await system.faults("gateway")).counts.limiter;
  const token = await limited({ body_bytes: 100 });
  assert.equal((await call(token)).status, 200);
  assert.equal((await system.faults("gateway")).counts.limiter, before);
});

test("a body above the limit, or of unknown length, is refused before anything is sent", async () => {
  const token = await limited({ body_bytes: 10 });
  const sink = (body, init = {}) => call(token, "/api/sink", { method: "POST", body, ...init });
  assert.equal((await sink("0123456789")).status, 200);
  const large = await sink("0123456789a");
  assert.deepEqual([large.status, large.body.code], [413, "payload-too-large"]);
  const stream = new ReadableStream({
    start: (c) => (c.enqueue(new TextEncoder().encode("0123")), c.close()),
  });
  const unknown = await sink(stream, { duplex: "half" });
  assert.deepEqual([unknown.status, unknown.body.code], [411, "length-required"]);
});

test("while the counter is unreachable, rate limits admit calls and budgets refuse them, unless the token says otherwise", async () => {
  const tokens = {
    rate: await limited({ calls_per_minute: 100 }),
    strict: await limited({ calls_per_minute: 100, on_limit_failure: "deny" }),
  };
  for (const token of Object.values(tokens)) assert.equal((await call(token)).status, 200);
  await system.faults("gateway", { limiter: { fail: true } });
  try {
    assert.equal((await call(tokens.rate)).status, 200);
    const strict = await call(tokens.strict);
    assert.deepEqual([strict.status, strict.body.code], [503, "limits-unavailable"]);
    assert.doesNotMatch(JSON.stringify(strict.body), /secret-inner-text/);
    await system.faults("gateway", { limiter: { delay_ms: 4_000 } });
    assert.equal((await call(tokens.rate)).status, 200, "slow is as good as away");
  } finally {
    await system.faults("gateway", { limiter: {} });
  }
  assert.equal((await call(tokens.strict)).status, 200, "the next call is fine");
});

test("a limited call is recorded with its outcome", async () => {
  const token = await limited({ calls_per_minute: 1 }, { id: "tok_limited_record" });
  await call(token);
  await call(token);
  const rows = await eventually(async () => {
    const found = await system.usage.events({ token_id: "tok_limited_record" });
    return found.length === 2 && found;
  });
  assert.deepEqual(rows.map((row) => row.outcome).sort(), ["limited-rate", "ok"]);
});

test("a route under maintenance responds with the admin's text and Retry-After", async () => {
  const token = await limited({});
  const closed = await call(token, "/api/closed/x");
  assert.deepEqual(
    [closed.status, closed.body.code, closed.body.message, closed.headers.get("retry-after")],
    [503, "under-maintenance", "Back at noon.", "90"],
  );
});

test("faults are injected only for a marked token", async () => {
  const [marked, plain] = [await limited({}, { inject_faults: true }), await limited({})];
  const header = (value) => ({ headers: { "x-token-manager-fault": value } });
  assert.equal((await call(plain, "/api/echo", header("status=503"))).status, 200);
  const failed = await call(marked, "/api/echo", header("latency=300, status=503"));
  assert.deepEqual([failed.status, failed.body.code], [503, "injected-fault"]);
  const started = Date.now();
  const slow = await call(marked, "/api/echo", header("latency=400"));
  assert.ok(slow.status === 200 && Date.now() - started >= 400);
  assert.equal(slow.body.headers["x-token-manager-fault"], undefined, "the upstream does not see it");
  assert.equal((await call(marked, "/api/echo", header("status=42"))).body.code, "bad-fault");
  const cut = await system.gateway("/api/echo", {
    headers: { "x-api-key": marked, "x-token-manager-fault": "cut=10" },
  });
  await assert.rejects(cut.text(), "the client sees the cut");
});
