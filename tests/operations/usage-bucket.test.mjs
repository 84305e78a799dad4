// Raw calls in the bucket CALLS: the same lists and files, and nothing is lost while the bucket fails.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, startOnSockets } from "../support/harness.mjs";
import { callOf, messageOf } from "../support/usage.mjs";

let system;
before(async () => (system = await startOnSockets({ bucket: true })));
after(() => system?.stop());

const segments = async () =>
  (await system.usage.db.prepare("SELECT object, body, calls FROM segments ORDER BY id").all()).results;
const ask = (where) => as(system, "admin", "GET", where);
const ids = (calls) => calls.map(({ id }) => id);
/** Newest first, as lists have them. */
const callsOf = (name, count) =>
  Array.from({ length: count }, (_, i) => callOf(`${name}-${i}`, { at: Date.now() - 60_000 - i * 10 }));

test("raw calls are kept in the bucket, and lists and files have each of them", async () => {
  const calls = callsOf("first", 120);
  await system.deliver([messageOf("b1", calls.slice(0, 60)), messageOf("b2", calls.slice(60))]);
  await system.cron();
  const stored = await segments();
  assert.ok(
    stored.length > 0 && stored.every(({ object, body }) => /^[0-9a-f]{64}$/.test(object) && body === ""),
  );
  assert.deepEqual(ids(await system.usage.events({ from: "0" })), ids(calls));
  const file = await system.call("/api/usage/export?from=0", {
    headers: { authorization: `Bearer ${system.jwt("admin")}` },
  });
  assert.equal((await file.text()).trim().split("\n").length, 121);
});

test("calls that are added to a segment replace its object", async () => {
  const [before] = await segments();
  await system.deliver([messageOf("b3", callsOf("second", 10))]);
  await system.cron();
  const after = await segments();
  assert.ok(!after.some(({ object }) => object === before.object));
  assert.equal((await system.usage.events({ from: "0" })).length, 130);
});

test("while the bucket refuses, sums are shown and calls wait; then each is stored once", async () => {
  await system.faults("api", { r2_put: { fail: true } });
  await system.deliver([messageOf("b4", callsOf("third", 10))]);
  await system.cron();
  assert.equal((await system.usage.db.prepare("SELECT count(*) AS n FROM inbox").first("n")) > 0, true);
  assert.equal((await ask("/api/usage/stats")).body.total.calls, 140);
  await system.faults("api", { r2_put: null, r2_get: { fail: true } });
  assert.equal((await ask("/api/usage/events")).status, 503);
  await system.faults("api", { r2_get: null });
  await system.cron();
  const listed = ids(await system.usage.events({ from: "0" }));
  assert.equal(new Set(listed).size, 140);
  assert.equal(listed.length, 140);
});
