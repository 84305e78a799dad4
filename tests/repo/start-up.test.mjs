// The CPU time that a runtime takes until the gateway has responded for the first time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { builtWorker, cpuSinceStartMs, median, startAlone } from "../support/runtime.mjs";

const empty = { modules: true, script: `export default { fetch: () => new Response("ok") };` };
const RUNS = 5;
/** Production allows 1 s. Measured are 60 ms, more on a busy machine. */
const MOST_MS = 300;

async function toFirstResponse(worker) {
  const alone = await startAlone(worker);
  try {
    assert.equal((await fetch(`${alone.url}/health`)).status, 200);
    return cpuSinceStartMs(alone.pid);
  } finally {
    await alone.stop();
  }
}

test(`the gateway starts with at most ${MOST_MS} ms of CPU more than an empty Worker`, async (t) => {
  const times = { empty: [], gateway: [] };
  for (let run = 0; run < RUNS; run++) {
    times.empty.push(await toFirstResponse(empty));
    times.gateway.push(await toFirstResponse(builtWorker("gateway/build")));
  }
  const [least, most] = [median(times.empty), median(times.gateway)];
  t.diagnostic(`gateway ${most} ms, empty Worker ${least} ms`);
  assert.ok(most - least <= MOST_MS, `${most} ms, an empty Worker ${least} ms`);
});
