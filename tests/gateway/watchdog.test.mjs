// One timer watches over all calls that wait for an upstream. It belongs to one of them and wakes the others, so what
// comes at that very moment must not be lost.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as bench from "../../bench/gateway/system.mjs";
import { startNginx } from "../../bench/gateway/upstreams.mjs";
import { putToken, sleep } from "../support/harness.mjs";

/** The timer fires once a second. */
const FOR_MS = 20_000;

let gateway;
let nginx;
before(async () => {
  nginx = await startNginx();
  gateway = await bench.startGateway();
  await bench.fill(gateway, { count: 1, upstream: nginx.url, streaming: nginx.url });
});
after(async () => {
  await gateway?.stop();
  await nginx?.stop();
});

test("a response that comes as the watchdog's timer fires reaches its client", async () => {
  const token = await putToken(gateway);
  await bench.ready(gateway, token, "/api/r0");
  const request = bench.requestOf(token, "/api/r0");
  const target = bench.targetOf("gateway", { url: gateway.urls.gateway, pid: gateway.pid }, request);
  const end = Date.now() + FOR_MS;
  let calls = 0;
  while (Date.now() < end) {
    // It fails with the first response that is not 200.
    await target.calls(30, 1);
    calls += 30;
    await sleep(Math.random() * 300);
  }
  target.close();
  assert.ok(calls > 300, `${calls} calls`);
  assert.doesNotMatch(gateway.logs(), /Uncaught|had hung/);
});
