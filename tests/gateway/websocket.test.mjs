// Web sockets through the gateway, with two independent clients: `ws` and Node's own, which like a browser's
// cannot set headers.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import WebSocket, { WebSocketServer } from "ws";
import { eventually, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";

let system;
let token;
/** An upstream whose sides of the sockets the tests hold: `peers`, by their paths. */
let vendor;
const peers = new Map();
before(async () => {
  vendor = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  vendor.on("connection", (peer, { url }) =>
    peers.set(
      url,
      peer.on("error", () => {}),
    ),
  );
  system = await startOnSockets();
  await putRoutes(system, [
    ["/api/socket", "/socket", { credential: { kind: "bearer", token: "vendor-key" } }],
    ["/api/echo", "/echo"],
    [
      "/api/realtime",
      `http://127.0.0.1:${vendor.address().port}`,
      { settings: { ai: { provider: "openai" } } },
    ],
    ["/api/vendor", `http://127.0.0.1:${vendor.address().port}`],
  ]);
  token = await putToken(system, { id: "tok_socket" });
  await eventually(
    async () => (await system.gateway("/api/echo", { headers: { "x-api-key": token } })).status === 200,
  );
});
after(async () => {
  await system?.stop();
  vendor?.close();
});

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

test("the upstream's close reaches the client with its code", async () => {
  const closing = await open("/api/socket", [], { "x-api-key": token });
  closing.send("close");
  const [code, reason] = await once(closing, "close");
  assert.deepEqual([code, String(reason)], [4001, "as asked"]);
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

const SLOTS = { concurrent_calls: 1 };
/** Both ends of a socket through the gateway, and its token's id. */
async function ends(name) {
  const id = `tok_socket_${name}`;
  const own = await putToken(system, { id, limits: SLOTS });
  const client = await open(`/api/vendor/${name}`, [], { "x-api-key": own });
  client.on("error", () => {});
  const upstream = await eventually(() => peers.get(`/${name}`));
  return { id, client, upstream };
}

test("a socket is closed once its token is revoked", async () => {
  const id = "tok_socket_revoked";
  const own = await putToken(system, { id });
  const socket = await open("/api/socket/revoked", [], { "x-api-key": own });
  const closed = once(socket, "close");
  await sleep(1_100);
  await putToken(system, { id, state: "revoked", version: 2 }, own);
  const [code, reason] = await closed;
  assert.deepEqual([code, String(reason)], [1008, "the token may not go on"]);
});

test("the messages of an AI's socket are metered", async () => {
  const id = "tok_socket_metered";
  const limits = { ai_tokens_per_day: 1_000_000 };
  const own = await putToken(system, { id, limits });
  const socket = await open("/api/realtime/v1/realtime", [], { "x-api-key": own });
  const peer = await eventually(() => peers.get("/v1/realtime"));
  for (const output of [7, 8]) {
    const usage = { input_tokens: 100, output_tokens: output, total_tokens: 100 + output };
    peer.send(JSON.stringify({ type: "response.done", response: { usage } }));
    await once(socket, "message");
  }
  socket.close(1000);
  await once(socket, "close");
  await eventually(async () => {
    const [use] = await system.uses(id, limits);
    return use.used === 215 && use.reserved === 0;
  });
});

/** The code with which an end was closed; 1006 is a connection that broke off. */
const closeOf = (end) =>
  Promise.race([new Promise((resolve) => end.once("close", resolve)), sleep(5_000).then(() => "still open")]);

/** What is left of a socket that has ended: its slots, and its event. */
async function rest(id) {
  const events = () => system.usage.events({ token_id: id });
  await eventually(async () => (await events()).length > 0, 5_000, "the event");
  await sleep(300);
  const [{ reserved }] = await system.uses(id, SLOTS);
  return { held: reserved, events: (await events()).map(({ outcome, status }) => `${outcome} ${status}`) };
}

/** Sends from one end until the other, or the gateway, is gone. */
async function flood(end) {
  while (end.readyState === WebSocket.OPEN) {
    end.send("x".repeat(1_000));
    await sleep(1);
  }
}

const BREAKS = { RST: (end) => end._socket.resetAndDestroy(), FIN: (end) => end._socket.destroy() };

for (const [how, breakOff] of Object.entries(BREAKS)) {
  for (const side of ["client", "upstream"]) {
    for (const traffic of ["an idle", "a flooded"]) {
      test(`the other side of ${traffic} socket sees a break or 1011 if its ${side} breaks off (${how})`, async () => {
        const { id, ...both } = await ends(`${side}_${how}_${traffic.slice(-4)}`);
        const other = both[side === "client" ? "upstream" : "client"];
        if (traffic === "a flooded") flood(other);
        const code = closeOf(other);
        await sleep(100);
        breakOff(both[side]);
        assert.ok([1006, 1011].includes(await code), `closed with ${await code}`);
        const outcome = side === "client" ? "client-gone" : "upstream-error";
        assert.deepEqual(await rest(id), { held: 0, events: [`${outcome} 101`] });
      });
    }
  }
}

test("a close whose code cannot be sent on closes the other side all the same", async () => {
  const one = async (code, side) => {
    const { id, ...both } = await ends(`code_${code}_${side}`);
    const other = closeOf(both[side === "client" ? "upstream" : "client"]);
    // The client `ws` would refuse to send it. A client's frame is masked, here with zeros.
    const [length, mask] = side === "client" ? [0x82, [0, 0, 0, 0]] : [2, []];
    both[side]._socket.write(Buffer.from([0x88, length, ...mask, code >> 8, code & 255]));
    const isOpen = (await other) === "still open";
    return isOpen || (await rest(id)).held > 0 ? [`${code} of the ${side}`] : [];
  };
  const codes = [1004, 1005, 1006, 1015, 1016, 2999];
  const wrong = await Promise.all(codes.flatMap((code) => [one(code, "client"), one(code, "upstream")]));
  assert.deepEqual(wrong.flat(), []);
});

test("a message that is too long for the runtime closes both sides", async () => {
  for (const side of ["client", "upstream"]) {
    const { id, ...both } = await ends(`long_${side}`);
    const codes = [closeOf(both.client), closeOf(both.upstream)];
    both[side].send(Buffer.alloc(34 << 20));
    const seen = await Promise.all(codes);
    assert.ok(!seen.includes("still open") && !seen.includes(1000), `${side}: ${seen}`);
    assert.equal((await rest(id)).held, 0);
  }
});
