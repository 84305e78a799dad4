// The cost of calls at Cloudflare's published prices, from the system's measured use: docs/cost.md.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";

/** Dollars per million, beyond what the paid plan includes (docs/cost.md names the pages). */
const PRICE = {
  request: 0.3,
  cpu_ms: 0.02,
  kv_read: 0.5,
  queue_operation: 0.4,
  do_request: 0.15,
  do_row_written: 1.0,
  d1_row_written: 1.0,
};
/** CPU of a call, in ms: a core serves 3,700 a second (docs/performance.md). */
const CPU_MS = 0.27;
/** A message is written, read and acknowledged. */
const OPERATIONS = 3;

let system;
before(async () => {
  system = await startOnSockets({ faults: true, gatewayVars: { USAGE_FLUSH_MS: "500" } });
  await putRoutes(system, [["/api/echo", "/echo"]]);
});
after(() => system?.stop());

/** The average use of `count` calls, per call. */
async function used(token, count, clients) {
  const call = async () =>
    (await system.gateway("/api/echo", { headers: { "x-api-key": token } })).arrayBuffer();
  await eventually(
    async () => (await system.gateway("/api/echo", { headers: { "x-api-key": token } })).status === 200,
  );
  await sleep(7_000);
  const before = {
    ...(await system.faults("gateway")).counts,
    rows: (await system.faults("api")).counts.d1_rows_written,
  };
  await Promise.all(
    Array.from({ length: clients }, async () => {
      for (let i = 0; i < count / clients; i++) await call();
    }),
  );
  // A busy isolate keeps events for two seconds, the queue for three.
  await sleep(7_000);
  const now = {
    ...(await system.faults("gateway")).counts,
    rows: (await system.faults("api")).counts.d1_rows_written,
  };
  const per = (what) => (now[what] - before[what]) / count;
  return { kv_reads: per("kv_get"), messages: per("queue"), objects: per("limiter"), rows: per("rows") };
}

/** Dollars per million calls, by part. */
function dollars({ kv_reads, messages, objects, rows }) {
  const parts = {
    requests: PRICE.request,
    cpu: CPU_MS * PRICE.cpu_ms,
    kv: kv_reads * PRICE.kv_read,
    queue: messages * OPERATIONS * PRICE.queue_operation,
    objects: objects * (PRICE.do_request + PRICE.do_row_written),
    d1: rows * PRICE.d1_row_written,
  };
  return { ...parts, without_d1: Object.values(parts).reduce((sum, part) => sum + part, 0) - parts.d1 };
}

test("busy calls without limits: requests, CPU, KV and queue stay within $0.60 per million", async (t) => {
  const use = await used(await putToken(system), 2_000, 20);
  const cost = dollars(use);
  t.diagnostic(JSON.stringify({ use, cost }));
  assert.ok(use.kv_reads <= 0.05 && use.objects === 0, JSON.stringify(use));
  assert.ok(use.messages <= 0.1, `${use.messages} messages a call`);
  assert.ok(cost.without_d1 <= 0.6, JSON.stringify(cost));
  // A batch is one row and the keys of its messages; the fold, each minute, is not among these.
  assert.ok(use.rows <= 0.3, `${use.rows} rows a call`);
});

test("a busy limited token asks its counter for one call in ten at most", async (t) => {
  const rate = await used(await putToken(system, { limits: { calls_per_day: 1e9 } }), 400, 10);
  const both = await used(
    await putToken(system, { limits: { calls_per_day: 1e9, concurrent_calls: 100 } }),
    400,
    10,
  );
  t.diagnostic(JSON.stringify({ rate: dollars(rate), both: dollars(both) }));
  assert.ok(rate.objects > 0 && rate.objects < 0.1, `${rate.objects}`);
  assert.ok(both.objects > 0 && both.objects < 0.1, `${both.objects}`);
});
