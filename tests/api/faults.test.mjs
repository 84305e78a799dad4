// The admin API while its dependencies fail.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, eventually, putRoutes, startOnSockets } from "../support/harness.mjs";
import { mintLegacyToken, sha256 } from "../support/tokens.mjs";

let system;
before(async () => (system = await startOnSockets({ faults: true })));
after(() => system?.stop());

const make = async () =>
  (await as(system, "admin", "POST", "/api/tokens", { name: "t", team_id: "automation", scopes: ["*"] }))
    .body;
const inKv = async (token) => JSON.parse(await system.kv.get(`token:${sha256(token)}`));

/** Parity fault 4: a revoke that KV refused was dropped silently. */
test("a revoke that KV has not taken answers 202 pending and is published later", async () => {
  const token = await make();
  assert.equal((await inKv(token.token)).state, "active");
  await system.faults("api", { kv_put: { fail: true } });
  const revoked = await as(system, "admin", "DELETE", `/api/tokens/${token.id}`);
  assert.deepEqual(
    [revoked.status, revoked.body.propagation, revoked.body.state],
    [202, "pending", "revoked"],
  );
  await system.cron();
  assert.equal((await inKv(token.token)).state, "active", "KV still refuses");
  await system.faults("api", { kv_put: null });
  await eventually(
    async () => {
      await system.cron();
      return (await inKv(token.token)).state === "revoked";
    },
    30_000,
    "the revoke reaching KV",
  );
  const left = await system.db.prepare("SELECT count(*) AS n FROM outbox").first();
  assert.equal(left.n, 0);
});

test("no token is resurrected: the newest state wins over late retries", async () => {
  const token = await make();
  await system.faults("api", { kv_put: { fail: true } });
  await as(system, "admin", "POST", `/api/tokens/${token.id}/disable`);
  await as(system, "admin", "POST", `/api/tokens/${token.id}/enable`);
  await as(system, "admin", "DELETE", `/api/tokens/${token.id}`);
  await system.faults("api", { kv_put: null });
  await eventually(
    async () => {
      await system.cron();
      return (await inKv(token.token)).state === "revoked";
    },
    30_000,
    "the revoke reaching KV",
  );
  await system.cron();
  assert.equal((await inKv(token.token)).state, "revoked");
});

test("while D1 is down, the API answers 503 in the envelope and the gateway is not affected", async () => {
  const token = await make();
  await putRoutes(system, [["/api/echo", "/echo"]], { version: 1000 });
  const use = () => system.gateway("/api/echo", { headers: { "x-api-key": token.token } });
  await eventually(async () => (await use()).status === 200, 11_000, "the route being seen");
  await system.faults("api", { d1: { fail: true } });
  try {
    for (const [method, where, body] of [
      ["GET", "/api/tokens"],
      ["POST", "/api/tokens", { name: "t", team_id: "automation", scopes: ["*"] }],
      ["GET", "/api/routes"],
      ["GET", "/api/usage/stats"],
    ]) {
      const answer = await as(system, "admin", method, where, body);
      assert.deepEqual([answer.status, answer.body.code], [503, "store-unavailable"], `${method} ${where}`);
      assert.doesNotMatch(JSON.stringify(answer.body), /secret-inner-text/);
    }
    assert.equal((await use()).status, 200);
    assert.equal((await system.call("/health")).status, 200);
  } finally {
    await system.faults("api", { d1: null });
  }
  assert.equal((await as(system, "admin", "GET", "/api/tokens")).status, 200);
});

test("while the database of usage is down, only reports are: tokens are made, revoked and published", async () => {
  await system.faults("api", { usage_db: { fail: true } });
  try {
    const token = await make();
    assert.equal((await inKv(token.token)).state, "active");
    const revoked = await as(system, "admin", "DELETE", `/api/tokens/${token.id}`);
    assert.deepEqual([revoked.status, revoked.body.propagation], [200, "published"]);
    assert.equal((await inKv(token.token)).state, "revoked");
    assert.equal((await as(system, "admin", "GET", "/api/tokens")).status, 200);
    const report = await as(system, "admin", "GET", "/api/usage/stats");
    assert.deepEqual([report.status, report.body.code], [503, "store-unavailable"]);
    assert.doesNotMatch(JSON.stringify(report.body), /secret-inner-text/);
    await system.cron();
  } finally {
    await system.faults("api", { usage_db: null });
  }
  assert.equal((await as(system, "admin", "GET", "/api/usage/stats")).status, 200);
});

for (const database of ["d1", "usage_db"])
  test(`events that ${database} refused are retried by the queue and counted once`, async () => {
    const token = await make();
    await system.faults("api", { [database]: { fail: true } });
    for (let i = 0; i < 3; i++)
      assert.equal(
        (await system.gateway("/api/echo", { headers: { "x-api-key": token.token } })).status,
        200,
      );
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    await system.faults("api", { [database]: null });
    const own = await eventually(
      async () => {
        const answer = await (
          await system.call("/api/usage/me", { headers: { "x-api-key": token.token } })
        ).json();
        return answer.total?.calls === 3 && answer;
      },
      60_000,
      "the retried events",
    );
    assert.equal(own.recent.length, 3);
  });

test("a flood of forged tokens, even of the earlier form, causes no database query", async () => {
  const ask = (token) => system.call("/api/usage/me", { headers: { "x-api-key": token } });
  assert.equal((await ask(mintLegacyToken())).status, 401);
  const queries = async () => (await system.faults("api")).counts.d1;
  const before = await queries();
  const forged = Array.from({ length: 40 }, (_, i) =>
    ask(i % 2 ? mintLegacyToken() : `${mintLegacyToken().replace(/[-_]/g, "x")}000000`),
  );
  for (const response of await Promise.all(forged)) assert.equal(response.status, 401);
  assert.equal(await queries(), before);
});
