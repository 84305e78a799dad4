// Labels: the workflow that a call names in X-Workflow.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request as httpRequest } from "node:http";
import { after, before, test } from "node:test";
import WebSocket from "ws";
import { as, eventually, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";

let system;
let token;
let down;
before(async () => {
  system = await startOnSockets();
  down = createServer((_request, response) => response.writeHead(503).end());
  await new Promise((resolve) => down.listen(0, "127.0.0.1", resolve));
  await putRoutes(system, [
    ["/api/echo", "/echo"],
    ["/api/socket", "/socket"],
    ["/api/cors", "/echo", { cors_origins: ["https://app.example"] }],
    [
      "/api/first",
      `http://127.0.0.1:${/** @type {any} */ (down.address()).port}`,
      { settings: { failover: { route_id: "rte__api_echo" } } },
    ],
  ]);
  token = await putToken(system, { id: "tok_labels", team: "automation" });
  await eventually(async () => (await call("/api/echo")).status === 200);
});
after(async () => {
  await system?.stop();
  down?.close();
});

const call = (where, headers = {}, init = {}) =>
  system.gateway(where, { ...init, headers: { "x-api-key": token, ...headers } });
const events = (query = {}) => system.usage.events({ token_id: "tok_labels", ...query });
const labels = async (user, query = "") => as(system, user, "GET", `/api/usage/labels${query}`);

test("a label is recorded, and no upstream sees it: plain, by a second upstream, by a socket", async () => {
  const echo = await (await call("/api/echo/a", { "x-workflow": "Nightly report", "x-own": "kept" })).json();
  assert.deepEqual([echo.headers["x-workflow"], echo.headers["x-own"]], [undefined, "kept"]);
  const second = await (await call("/api/first", { "x-workflow": "Nightly report" })).json();
  assert.equal(second.headers["x-workflow"], undefined, "the second upstream");
  const socket = new WebSocket(`${system.urls.gateway.replace("http", "ws")}/api/socket`, {
    headers: { "x-api-key": token, "x-workflow": "Live" },
  });
  await once(socket, "open");
  socket.close(1000);
  await once(socket, "close");
  const received = system.upstream.requests.findLast((one) => one.url.startsWith("/socket"));
  assert.equal(received.headers["x-workflow"], undefined, "the socket's upstream");
  await eventually(async () => (await events({ label: "Nightly report" })).length === 2, 15_000);
  await eventually(async () => (await events({ label: "Live" })).length === 1, 15_000);
  const unlabelled = (await events({ path: "/api/echo" })).filter((one) => one.label === null);
  assert.ok(unlabelled.length >= 1, "a call without the header has no label");
});

test("a browser may send a label if it may call at all", async () => {
  const asked = (origin) =>
    system.gateway("/api/cors", {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "GET",
        "access-control-request-headers": "x-api-key,x-workflow",
      },
    });
  const allowed = await asked("https://app.example");
  assert.match(allowed.headers.get("access-control-allow-headers"), /x-workflow/);
  assert.equal((await asked("https://evil.example")).headers.get("access-control-allow-headers"), null);
});

test("a Chinese name works: percent-encoded as the copied node sends it, and as raw UTF-8", async () => {
  const name = "每日報告 (v2)";
  assert.equal((await call("/api/echo", { "x-workflow": encodeURIComponent(name) })).status, 200);
  const raw = await new Promise((resolve, reject) => {
    const sent = httpRequest(`${system.urls.gateway}/api/echo`, {
      headers: { "x-api-key": token, "x-workflow": Buffer.from(name).toString("latin1") },
    });
    sent.on("response", (response) => resolve(response.resume().statusCode)).on("error", reject);
    sent.end();
  });
  assert.equal(raw, 200);
  await eventually(async () => (await events({ label: name })).length === 2, 15_000);
});

test("a label that does not fit is cut, fails no call, and holds no token", async () => {
  const long = "x".repeat(300);
  assert.equal((await call("/api/echo", { "x-workflow": long })).status, 200);
  assert.equal((await call("/api/echo/secret", { "x-workflow": `a ${token}` })).status, 200);
  assert.equal((await call("/api/echo/blank", { "x-workflow": "%20%00" })).status, 200);
  await eventually(async () => (await events({ label: "x".repeat(80) })).length === 1, 15_000);
  for (const path of ["secret", "blank"])
    assert.deepEqual(
      (await events({ path: `/api/echo/${path}` })).map((one) => one.label),
      [null],
      path,
    );
});

test("a report tells calls, errors and refusals of each label, to those who see the team", async () => {
  await call("/api/nowhere", { "x-workflow": "Lost" });
  const found = await eventually(async () => {
    const { status, body } = await labels("viewer", "?team_id=automation");
    assert.equal(status, 200, JSON.stringify(body));
    const lost = body.items.find((line) => line.label === "Lost");
    return lost && body;
  }, 15_000);
  const of = (label) => found.items.find((line) => line.label === label);
  assert.deepEqual([of("Lost").calls, of("Lost").ok, of("Lost").refused, of("Lost").errors], [1, 0, 1, 0]);
  assert.deepEqual([of("Nightly report").calls, of("Nightly report").ok], [2, 2]);
  assert.equal(found.lines, found.items.length);
  const total = found.items.reduce((sum, line) => sum + line.calls, 0);
  const all = (await events()).filter((one) => one.label !== null).length;
  assert.equal(total, all, "the report's sums are the calls");
  const known = await labels("admin", "?token_id=tok_labels");
  assert.deepEqual(known.body.items, found.items, "by token");
  const hidden = await labels("newcomer");
  assert.ok(hidden.status === 404 || hidden.body.items.length === 0, JSON.stringify(hidden));
});

test("422: bad queries of the report are named", async () => {
  for (const [query, field] of [
    ["?from=yesterday", "from"],
    ["?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from"],
    ["?from=2026-01-01T00:00:00Z&to=2026-05-01T00:00:00Z", "from"],
    ["?limit=0", "limit"],
    ["?bogus=1", "bogus"],
  ]) {
    const { status, body } = await labels("admin", query);
    assert.equal(status, 422, query);
    assert.ok(
      body.details.some((detail) => detail.field === field),
      `${query}: ${JSON.stringify(body)}`,
    );
  }
});

test("the exported file has the label", async () => {
  const file = await system.call("/api/usage/export?label=Live", {
    headers: { authorization: `Bearer ${system.jwt("viewer")}` },
  });
  const [head, line] = (await file.text()).trim().split(/\r?\n/);
  assert.equal(line.split(",")[head.split(",").indexOf("label")], "Live");
});
