// Web sockets through the gateway, with two independent clients: `ws` and Node's own, which like a browser's
// cannot set headers.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import WebSocket from "ws";
import { eventually, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";

let system;
let token;
before(async () => {
  system = await startOnSockets();
  await putRoutes(system, [
    ["/api/socket", "/socket", { credential: { kind: "bearer", token: "vendor-key" } }],
    ["/api/echo", "/echo"],
  ]);
  token = await putToken(system, { id: "tok_socket" });
  await eventually(
    async () => (await system.gateway("/api/echo", { headers: { "x-api-key": token } })).status === 200,
  );
});
after(() => system?.stop());

const address = (where) => system.urls.gateway.replace("http", "ws") + where;
const open = async (where, protocols, headers) => {
  const socket = new WebSocket(address(where), protocols, { headers });
  await once(socket, "open");
  return socket;
};
const refused = (where, headers) =>
  new Promise((resolve) => {
    const socket = new WebSocket(address(where), { headers });
    socket.on("unexpected-response", (_request, response) => resolve(response.statusCode));
    socket.on("error", () => {});
  });

test("messages pass both ways, text and binary, with the vendor's credential and without our token", async () => {
  const socket = await open("/api/socket/x?y=1", ["realtime"], { "x-api-key": token });
  assert.equal(socket.protocol, "realtime");
  socket.send("héllo");
  assert.equal(String((await once(socket, "message"))[0]), "héllo");
  const bytes = Buffer.alloc(100_000, 7);
  socket.send(bytes);
  const [data, isBinary] = await once(socket, "message");
  assert.ok(isBinary && bytes.equals(data));
  socket.close(1000, "done");
  await once(socket, "close");
  const received = system.upstream.requests.findLast((r) => r.url === "/socket/x?y=1");
  assert.equal(received.headers.authorization, "Bearer vendor-key");
  assert.doesNotMatch(JSON.stringify(received.headers), /ntk_|x-api-key/);
});

test("the upstream's close reaches the client with its code, and a broken connection as an error", async () => {
  const closing = await open("/api/socket", [], { "x-api-key": token });
  closing.send("close");
  const [code, reason] = await once(closing, "close");
  assert.deepEqual([code, String(reason)], [4001, "as asked"]);
  const breaking = await open("/api/socket", [], { "x-api-key": token });
  breaking.send("die");
  assert.notEqual((await once(breaking, "close"))[0], 1000);
});

test("a browser sends its token as a protocol, which the upstream does not see", async () => {
  for (const [offered, chosen] of [
    [["token-manager", token], "token-manager"],
    [["realtime", `openai-insecure-api-key.${token}`], "realtime"],
  ]) {
    const socket = new globalThis.WebSocket(address("/api/socket/browser"), offered);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    assert.equal(socket.protocol, chosen);
    socket.close();
    const received = system.upstream.requests.findLast((r) => r.url === "/socket/browser");
    assert.doesNotMatch(JSON.stringify(received.headers), /ntk_/);
  }
});

test("the upgrade is refused like any call, and an upstream's refusal is passed on", async () => {
  assert.equal(await refused("/api/socket", {}), 401);
  const elsewhere = await putToken(system, { scopes: ["other"] });
  assert.equal(await refused("/api/socket", { "x-api-key": elsewhere }), 403);
  assert.equal(await refused("/api/echo", { "x-api-key": token }), 403, "the upstream's own answer");
});

test("a socket is recorded as one call with its bytes", async () => {
  const own = await putToken(system, { id: "tok_socket_usage" });
  const socket = await open("/api/socket", [], { "x-api-key": own });
  socket.send("12345");
  await once(socket, "message");
  socket.close();
  const row = await eventually(async () => (await system.usage.events({ token_id: "tok_socket_usage" }))[0]);
  assert.deepEqual([row.status, row.outcome, row.bytes_in, row.bytes_out], [101, "ok", 5, 5]);
});
