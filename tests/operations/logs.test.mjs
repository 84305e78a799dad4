// The log line of a call, and its data point.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, eventually, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";

let system;
before(async () => {
  const vars = { LOG_CALLS: "true" };
  system = await startOnSockets({ faults: true, metrics: true, gatewayVars: vars, apiVars: vars });
  await putRoutes(system, [
    ["/api/demo", "/echo", { credential: { kind: "bearer", token: "vendor-secret-1" } }],
  ]);
});
after(() => system?.stop());

const lines = () =>
  system
    .logs()
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
const lineOf = (id) =>
  eventually(() => lines().find((line) => line.request_id === id), 5_000, `the line of ${id}`);

test("each call has one line, found by its request id, that states its outcome and holds no secret", async () => {
  const token = await putToken(system, { id: "tok_logged", scopes: ["demo"] });
  const call = (id, headers, where = "/api/demo/x?key=query-secret") =>
    system.gateway(where, {
      method: "POST",
      headers: { "x-request-id": id, ...headers },
      body: "body-secret",
    });
  await call("log-call-ok", { "x-api-key": token });
  await call("log-call-unknown", { "x-api-key": "ntk_nobody" });
  await call("log-call-nowhere", { "x-api-key": token }, "/api/nowhere");
  const { auth_ms, upstream_ms, call_id, ...ok } = await lineOf("log-call-ok");
  assert.deepEqual(ok, {
    level: "info",
    event: "call",
    request_id: "log-call-ok",
    method: "POST",
    path: "/api/demo/x",
    status: 200,
    outcome: "ok",
    token_id: "tok_logged",
    team: "automation",
    route_id: "rte__api_demo",
  });
  assert.ok(auth_ms >= 0 && upstream_ms >= 0 && call_id.length > 10);
  const unknown = await lineOf("log-call-unknown");
  assert.deepEqual([unknown.level, unknown.status, unknown.token_id], ["warn", 401, undefined]);
  assert.equal((await lineOf("log-call-nowhere")).outcome, "denied-route");
  assert.equal(
    lines().filter((line) => line.event === "call" && line.request_id === "log-call-ok").length,
    1,
  );

  await as(system, "admin", "GET", "/api/tokens?limit=1", undefined, { "x-request-id": "log-api-list" });
  const { ms, ...api } = await lineOf("log-api-list");
  assert.deepEqual(
    [api, ms >= 0],
    [
      {
        level: "info",
        event: "request",
        request_id: "log-api-list",
        method: "GET",
        path: "/api/tokens",
        status: 200,
      },
      true,
    ],
  );
  for (const secret of [
    token,
    "vendor-secret-1",
    "query-secret",
    "body-secret",
    "ntk_",
    system.jwt("admin").split(".")[0],
  ]) {
    assert.ok(!system.logs().includes(secret), `${secret} is in the logs`);
  }
});

test("with a METRICS binding each recorded call is a data point", async () => {
  const token = await putToken(system, { id: "tok_metrics" });
  await system.gateway("/api/demo", { headers: { "x-api-key": token } });
  const { metrics } = await eventually(
    () => lines().find((line) => line.metrics?.indexes[0] === "tok_metrics"),
    5_000,
    "the data point",
  );
  assert.deepEqual(metrics.blobs, ["automation", "rte__api_demo", "GET", "ok", "", ""]);
  assert.deepEqual([metrics.doubles.length, metrics.doubles[0]], [7, 200]);
});
