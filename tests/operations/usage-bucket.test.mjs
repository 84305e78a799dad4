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

test("while the bucket refuses, calls are kept in the database, and each is listed once", async () => {
  await system.faults("api", { r2_put: { fail: true } });
  await system.deliver([messageOf("b4", callsOf("third", 10))]);
  await system.cron();
  assert.ok((await segments()).some(({ object }) => object === null));
  assert.equal((await ask("/api/usage/stats")).body.total.calls, 140);
  await system.faults("api", { r2_put: null });
  await system.deliver([messageOf("b5", callsOf("fourth", 10))]);
  await system.cron();
  const listed = ids(await system.usage.events({ from: "0" }));
  assert.equal(new Set(listed).size, 150);
  assert.equal(listed.length, 150);
  await system.faults("api", { r2_get: { fail: true } });
  assert.equal((await ask("/api/usage/events")).status, 503);
  assert.equal((await ask("/api/usage/stats")).body.total.calls, 150);
  await system.faults("api", { r2_get: null });
});

test("a segment that a fold writes again without a new call keeps its object", async () => {
  // Of an hour before: the last segment is of another hour.
  const at = Date.now() - 2 * 3_600_000;
  await system.deliver([messageOf("b6", [callOf("earlier", { at })])]);
  await system.cron();
  const listed = ids(await system.usage.events({ from: "0" }));
  assert.equal(listed.length, 151);
  assert.equal(listed.at(-1), "earlier");
});

test("the blocks of a large segment are read from their places in its object", async () => {
  const at = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 4 * 3_600_000;
  const call = (i) =>
    callOf(`large-${i}`, { at: at + i * 100, token_id: i % 2_000 === 3 ? "tok_rare" : "tok_busy" });
  const messages = Array.from({ length: 12 }, (_, n) =>
    messageOf(
      `large${n}`,
      Array.from({ length: 1_000 }, (_, i) => call(n * 1_000 + i)),
    ),
  );
  await system.deliver(messages);
  await system.cron();
  const one = async (sql) => (await system.usage.db.prepare(sql).all()).results[0];
  const { blocks } = await one("SELECT count(*) AS blocks FROM blocks");
  assert.ok(blocks >= 40, `${blocks}`);
  assert.deepEqual(await one("SELECT count(*) AS n FROM block_texts"), { n: 0 });
  const rare = ids(await system.usage.events({ token_id: "tok_rare", from: "0" }));
  assert.deepEqual(
    rare,
    [5, 4, 3, 2, 1, 0].map((n) => `large-${n * 2_000 + 3}`),
  );
});
