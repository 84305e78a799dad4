// A response that nobody will read is not kept open: its upstream is let go of at once, while the call goes on elsewhere.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";
import { startPatient } from "../support/patient.mjs";

let system;
let patient;
let token;
before(async () => {
  [system, patient] = await Promise.all([startOnSockets(), startPatient()]);
  const failover = { failover: { route_id: "rte__api_late", any_method: true } };
  const client = { client_id: "client", client_secret: "s3cret", token_url: `${system.upstream.url}/token` };
  await putRoutes(system, [
    ["/api/echo", "/echo"],
    ["/api/alone", patient.url, { timeout_ms: 500 }],
    ["/api/fo", patient.url, { timeout_ms: 1_500, settings: failover }],
    ["/api/late", `${patient.url}/late`],
    ["/api/oauth", patient.url, { credential: { kind: "oauth2_client_credentials", ...client } }],
  ]);
  token = await putToken(system, { inject_faults: true });
  await eventually(async () => (await call("/api/echo")).status === 200);
});
after(async () => {
  await system?.stop();
  await patient?.close();
});

/** Makes a call and returns its status, its end, and what the upstream heard of it. */
async function call(where, headers = {}) {
  const before = patient.heard.length;
  const response = await system.gateway(where, {
    headers: { "x-api-key": token, ...headers },
    signal: AbortSignal.timeout(10_000),
  });
  // The body may be endless or cut.
  if (headers["x-token-manager-fault"]) await response.text().catch(() => "cut");
  else if (response.status !== 401) await response.text();
  return { status: response.status, endedAt: Date.now(), heard: patient.heard.slice(before) };
}

test("an upstream that did not respond in time, with nobody else to ask", async () => {
  const { status, endedAt, heard } = await call("/api/alone?silent");
  assert.deepEqual([status, heard.length], [504, 1]);
  await eventually(() => heard[0].closedAt, 1_000, "its connection being closed");
  assert.ok(heard[0].closedAt - endedAt < 1_000);
});

test("the first upstream that did not respond in time, while the second one is waited for", async () => {
  const { status, endedAt, heard } = await call("/api/fo?silent");
  assert.deepEqual([status, ...heard.map(({ url }) => url)], [200, "/?silent", "/late?silent"]);
  const early = endedAt - (heard[0].closedAt ?? endedAt);
  assert.ok(early > 500, `${early} ms before the end`);
});

test("the first upstream that is down, once the second one has responded", async () => {
  const { status, heard } = await call("/api/fo?status=503&pieces=1&endless");
  assert.deepEqual([status, heard.length], [200, 2]);
  await eventually(() => heard[0].closedAt, 1_000, "the first response being let go of");
});

test("an upstream that refuses a bearer token, which is then fetched again", async () => {
  const { status, heard } = await call("/api/oauth?status=401&pieces=1&endless");
  assert.deepEqual([status, heard.length], [401, 2]);
  await eventually(() => heard[0].closedAt, 1_000, "the first refusal being let go of");
  assert.equal(heard[1].closedAt, undefined, "the second one is the response");
});

test("an upstream whose response is cut, as the call asked", async () => {
  const fault = { "x-token-manager-fault": "cut=20" };
  const { status, heard } = await call("/api/alone?pieces=1000&every_ms=10", fault);
  assert.deepEqual([status, heard.length], [200, 1]);
  await eventually(() => heard[0].closedAt, 1_000, "its connection being closed");
});
