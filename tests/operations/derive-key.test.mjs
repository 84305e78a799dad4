// A DERIVE_KEY that cannot be read switches derived tokens off, and nothing else.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, eventually, startOnSockets } from "../support/harness.mjs";

let system;
before(async () => {
  const mistyped = { DERIVE_KEY: "mistyped" };
  system = await startOnSockets({ apiVars: mistyped, gatewayVars: mistyped });
});
after(() => system?.stop());

test("both Workers run, derived tokens are off, and health says so", async () => {
  const made = await as(system, "admin", "POST", "/api/tokens", {
    name: "mine",
    team_id: "automation",
    scopes: ["*"],
    may_derive: true,
  });
  assert.equal(made.status, 201);
  const body = { name: "Echo", path: "/api/demo", backend_url: `${system.upstream.url}/echo`, tags: [] };
  assert.equal((await as(system, "admin", "POST", "/api/routes", body)).status, 201);
  const headers = { "x-api-key": made.body.token };
  await eventually(async () => (await system.gateway("/api/demo", { headers })).status === 200);
  assert.equal((await system.gateway("/token", { method: "POST", headers })).status, 404);
  await system.cron();
  const response = await system.call("/health/detailed");
  const { checks } = await response.json();
  const check = checks.find(({ name }) => name === "derived-tokens");
  assert.deepEqual([response.status, check.status, check.note_code], [200, "degraded", "health-derive-key"]);
  assert.match(system.logs(), /DERIVE_KEY is not .*there are no derived tokens/);
});
