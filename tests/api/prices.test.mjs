// Prices of AI models: published to the gateway, and changed only by the platform admin.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, eventually, startSystem } from "../support/harness.mjs";

let system;
before(async () => {
  system = await startSystem();
});
after(() => system?.stop());

const published = async () => JSON.parse((await system.kv.get("prices")) ?? "null")?.prices;

test("the cron publishes the first list, and any member can read it", async () => {
  await system.cron();
  assert.deepEqual((await published())["gpt-4o"], {
    prompt: 2_500_000,
    completion: 10_000_000,
    cached: 1_250_000,
  });
  const { status, body } = await as(system, "viewer", "GET", "/api/prices?limit=5");
  assert.deepEqual([status, body.items.length], [200, 5]);
  const names = [];
  for (let cursor; ;) {
    const page = await as(system, "viewer", "GET", `/api/prices?limit=7${cursor ? `&cursor=${cursor}` : ""}`);
    names.push(...page.body.items.map((item) => item.model));
    cursor = page.body.next_cursor;
    if (!cursor) break;
  }
  assert.ok(names.length > 20 && new Set(names).size === names.length);
  assert.deepEqual(Object.keys(await published()).sort(), [...names].sort());
  assert.equal((await as(system, "newcomer", "GET", "/api/prices")).status, 404);
});

test("a price is set, replaced and deleted, published to the gateway and kept in the audit log", async () => {
  const put = (body) => as(system, "admin", "PUT", "/api/prices/acme%2Fone", body);
  const set = await put({ prompt: 1, completion: 2, source: "acme.example, today" });
  assert.deepEqual([set.status, set.body.propagation, set.body.price.model], [200, "published", "acme/one"]);
  assert.deepEqual((await published())["acme/one"], { prompt: 1, completion: 2 });
  await put({ prompt: 3, completion: 2, cached: 1, cache_write: 4 });
  await eventually(async () => (await published())["acme/one"].prompt === 3);
  const listed = await as(system, "admin", "GET", "/api/prices?search=ACME");
  assert.deepEqual(
    listed.body.items.map((item) => item.price),
    [{ prompt: 3, completion: 2, cached: 1, cache_write: 4 }],
  );
  assert.equal((await as(system, "admin", "DELETE", "/api/prices/acme%2Fone")).status, 200);
  assert.equal((await published())["acme/one"], undefined);
  assert.equal((await as(system, "admin", "DELETE", "/api/prices/acme%2Fone")).status, 404);
  const { body } = await as(system, "admin", "GET", "/api/dashboard/audit-logs?entity=price");
  assert.deepEqual(
    body.items.map((entry) => entry.action),
    ["delete-price", "set-price", "set-price"],
  );
});

test("bad input is named, and only the platform admin may set prices", async () => {
  const bad = await as(system, "admin", "PUT", "/api/prices/a%20b", { prompt: -1, completion: 2 });
  assert.ok([400, 422].includes(bad.status), JSON.stringify(bad));
  const name = await as(system, "admin", "PUT", "/api/prices/a%20b", { prompt: 1, completion: 2 });
  assert.deepEqual([name.status, name.body.details[0].field], [422, "model"]);
  assert.equal(
    (await as(system, "manager", "PUT", "/api/prices/x", { prompt: 1, completion: 2 })).status,
    403,
  );
});
