// Upstreams and clients that break off, hang or send garbage, byte by byte. Each case has the right status or
// a cut that the client can see, one usage event with the right outcome, no internal text, and a next call
// that works.
import assert from "node:assert/strict";
import { createServer, connect } from "node:net";
import { after, before, test } from "node:test";
import { eventually, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";

const SIZE = 400_000;
const headers = (more = "") => `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n${more}\r\n`;

/** The raw upstream's handling of a connection, by requested path. */
const behaviours = {
  hang: () => {},
  reset: (socket) => socket.resetAndDestroy(),
  "close-early": (socket) => socket.end(),
  nonsense: (socket) => socket.end("this is no HTTP\r\n\r\n"),
  "bad-status": (socket) => socket.end("HTTP/1.1 abc Nope\r\ncontent-length: 0\r\n\r\n"),
  "status-999": (socket) => socket.end("HTTP/1.1 999 Denied\r\ncontent-length: 2\r\n\r\nno"),
  "status-600": (socket) => socket.end("HTTP/1.1 600 Odd\r\ncontent-length: 0\r\n\r\n"),
  "half-head": (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-ty"),
  "bad-chunk": (socket) => {
    socket.write(headers("transfer-encoding: chunked\r\n") + "5\r\nhello\r\n");
    setTimeout(() => socket.end("ZZ\r\nnot a length\r\n"), 50);
  },
  "huge-header": (socket) =>
    socket.end(headers(`x-huge: ${"h".repeat(1 << 20)}\r\ncontent-length: 2\r\n`) + "ok"),
  "many-headers": (socket) =>
    socket.end(
      headers(
        Array.from({ length: 1000 }, (_, i) => `x-h-${i}: ${i}\r\n`).join("") + "content-length: 2\r\n",
      ) + "ok",
    ),
  trailing: (socket) => socket.end(headers("content-length: 2\r\n") + "okHTTP/1.1 999 GARBAGE\r\n\r\n"),
};
for (const quarter of [0, 1, 2, 3]) {
  behaviours[`quarter-${quarter}`] = (socket) => {
    socket.write(headers(`content-length: ${SIZE}\r\n`) + "x".repeat((SIZE / 4) * quarter));
    setTimeout(() => socket.resetAndDestroy(), 100);
  };
}

let system;
let upstream;
let token;
const aborted = new Set();
before(async () => {
  upstream = createServer((socket) => {
    socket.on("error", () => {});
    let head = "";
    let where;
    socket.on("data", (data) => {
      if (where) return;
      head += data.toString("latin1");
      where = /^\S+ \/([a-z0-9-]+)/.exec(head)?.[1];
      if (where) behaviours[where]?.(socket);
    });
    socket.on("close", () => aborted.add(where));
  });
  await new Promise((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  system = await startOnSockets();
  const { port } = /** @type {import("node:net").AddressInfo} */ (upstream.address());
  const base = `http://127.0.0.1:${port}`;
  await putRoutes(system, [
    ["/api/raw", base, { timeout_ms: 1500 }],
    ["/api/nobody", "http://127.0.0.1:1"],
    ["/api/echo", "/echo"],
    ["/api/stream", "/stream"],
    ["/api/slow", "/slow"],
    ["/api/sink", "/sink"],
  ]);
  token = await putToken(system);
  await eventually(
    async () => (await system.gateway("/api/echo", { headers: { "x-api-key": token } })).status === 200,
  );
});
after(async () => {
  await system?.stop();
  upstream?.close();
});

/** One call with a token of its own: the status, the body or `cut`, and the one event that it left. */
async function outcomeOf(where, limits) {
  const id = `tok_hostile_${Math.random().toString(36).slice(2)}`;
  const own = await putToken(system, { id, ...(limits && { limits }) });
  const response = await system.gateway(where, { headers: { "x-api-key": own } });
  const body = await response.text().catch(() => "cut");
  const event = await theEvent(id);
  const fine = await system.gateway("/api/echo", { headers: { "x-api-key": own } });
  assert.equal(fine.status, 200, "the next call is fine");
  await fine.text();
  return {
    status: response.status,
    body,
    outcome: event.outcome,
    recorded: event.status,
    headers: response.headers,
  };
}

async function theEvent(id) {
  const read = () => system.usage.events({ token_id: id });
  await eventually(async () => (await read()).length > 0, 10_000, `an event of ${id}`);
  await sleep(300);
  const rows = await read();
  assert.equal(rows.length, 1, "one event");
  return rows[0];
}

const clean = (body) =>
  assert.doesNotMatch(
    body.replace(/"request_id":"\w+"/, ""),
    /127\.0\.0\.1|localhost|connect|ECONN|kj|stack|panicked/i,
  );

for (const [where, status, outcome] of [
  ["/api/nobody", 502, "unreachable"],
  ["/api/raw/reset", 502, "unreachable"],
  ["/api/raw/close-early", 502, "unreachable"],
  ["/api/raw/nonsense", 502, "unreachable"],
  ["/api/raw/bad-status", 502, "unreachable"],
  ["/api/raw/half-head", 502, "unreachable"],
  ["/api/raw/hang", 504, "timeout"],
]) {
  test(`${where}: ${status}, recorded as ${outcome}`, async () => {
    const seen = await outcomeOf(where);
    assert.deepEqual([seen.status, seen.outcome, seen.recorded], [status, outcome, status]);
    assert.equal(JSON.parse(seen.body).error, status === 504 ? "Gateway Timeout" : "Bad Gateway");
    clean(seen.body);
  });
}

for (const status of [999, 600]) {
  test(`a status ${status}, which cannot be passed on, is named and is the upstream's error`, async () => {
    const seen = await outcomeOf(`/api/raw/status-${status}`);
    assert.deepEqual([seen.status, seen.outcome, seen.recorded], [502, "upstream-error", 502]);
    const { error, code, message } = JSON.parse(seen.body);
    assert.deepEqual([error, code], ["Bad Gateway", "bad-gateway"]);
    assert.match(message, new RegExp(`status ${status}`));
  });
}

for (const quarter of [0, 1, 2, 3]) {
  test(`the client sees the cut when an upstream resets after ${quarter} quarters of its body`, async () => {
    const seen = await outcomeOf(`/api/raw/quarter-${quarter}`);
    assert.deepEqual([seen.status, seen.body], [200, "cut"]);
    assert.equal(seen.outcome, "ok", "the response had started; plain bodies are not watched");
    const watched = await outcomeOf(`/api/raw/quarter-${quarter}`, { concurrent_calls: 5 });
    assert.deepEqual([watched.body, watched.outcome], ["cut", "upstream-error"]);
  });
}

test("a bad chunk is a cut that the client sees", async () => {
  const seen = await outcomeOf("/api/raw/bad-chunk", { concurrent_calls: 5 });
  assert.deepEqual([seen.status, seen.body, seen.outcome], [200, "cut", "upstream-error"]);
});

test("a huge header is refused or passed on whole", async () => {
  const seen = await outcomeOf("/api/raw/huge-header");
  if (seen.status === 200) assert.equal(seen.headers.get("x-huge").length, 1 << 20);
  else assert.deepEqual([seen.status, seen.outcome], [502, "unreachable"]);
});

test("a thousand headers are refused or passed on whole", async () => {
  const seen = await outcomeOf("/api/raw/many-headers");
  if (seen.status === 200) assert.equal(seen.headers.get("x-h-999"), "999");
  else assert.deepEqual([seen.status, seen.outcome], [502, "unreachable"]);
});

test("bytes after a response are part neither of it nor of the next one", async () => {
  const seen = await outcomeOf("/api/raw/trailing");
  assert.deepEqual([seen.status, seen.body], [200, "ok"]);
});

for (const host of ["gw:99999", "[::1", "a b", "%zz", "gw/x", "1.2.3.4.5"]) {
  test(`a request whose address cannot be read (Host: ${host}) is refused as any other`, async () => {
    let text = "";
    await new Promise((resolve) => {
      const port = Number(new URL(system.urls.gateway).port);
      const socket = connect(port, "127.0.0.1").on("error", resolve).on("close", resolve);
      socket.on("data", (data) => (text += data));
      const lines = ["GET /api/echo HTTP/1.1", `host: ${host}`, `x-api-key: ${token}`, "connection: close"];
      socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    });
    const [head, body] = text.split("\r\n\r\n");
    assert.match(head, /^HTTP\/1.1 4\d\d .*\r\nx-request-id: \w+/is, body);
    assert.match(body, /"code":"[a-z-]+","request_id":"/);
    clean(body);
  });
}

/** A raw client: sends `text`, and hangs up when `when` says so. */
function hangUp(text, when) {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(system.urls.gateway).port), "127.0.0.1", () => socket.write(text));
    socket.on("error", () => {});
    socket.on("close", resolve);
    when(socket);
  });
}

// The local runtime notices only on a write that a client has hung up, so a call may be recorded as if the client
// had received its response; if the runtime notices in time, the outcome is `client-gone`.
const goneOr = (event, outcome, status) =>
  assert.ok(
    (event.outcome === "client-gone" && event.status === 499) ||
      (event.outcome === outcome && event.status === status),
    `${event.outcome} ${event.status}`,
  );

test("a client that hangs up before the first byte leaves one event", async () => {
  const own = await putToken(system, { id: "tok_gone_early" });
  await hangUp(`GET /api/slow?ms=1200 HTTP/1.1\r\nhost: gw\r\nx-api-key: ${own}\r\n\r\n`, (socket) =>
    setTimeout(() => socket.destroy(), 300),
  );
  goneOr(await theEvent("tok_gone_early"), "ok", 200);
});

for (const quarter of [1, 2, 3]) {
  test(`a client that hangs up after ${quarter} quarters of the response leaves one event`, async () => {
    const id = `tok_gone_${quarter}`;
    const own = await putToken(system, { id, limits: { concurrent_calls: 2 } });
    await hangUp(
      `GET /api/stream?chunks=8&interval_ms=150 HTTP/1.1\r\nhost: gw\r\nx-api-key: ${own}\r\n\r\n`,
      (socket) => {
        let chunks = 0;
        socket.on("data", (data) => {
          chunks += data.toString().split("data: ").length - 1;
          if (chunks >= quarter * 2) socket.destroy();
        });
      },
    );
    const event = await theEvent(id);
    // Nobody counts the bytes of a body that is watched for its end alone.
    assert.deepEqual([event.outcome, event.bytes_out ?? undefined], ["client-gone", undefined]);
  });
}

for (const quarter of [0, 1, 2, 3]) {
  test(`a client that hangs up after ${quarter} quarters of its request leaves one event, and the next call works`, async () => {
    const id = `tok_upload_${quarter}`;
    const own = await putToken(system, { id });
    const head = `POST /api/sink HTTP/1.1\r\nhost: gw\r\nx-api-key: ${own}\r\ncontent-length: ${SIZE}\r\n\r\n`;
    await hangUp(head + "x".repeat((SIZE / 4) * quarter), (socket) =>
      setTimeout(() => socket.destroy(), 400),
    );
    goneOr(await theEvent(id), "unreachable", 502);
    const fine = await system.gateway("/api/echo", { headers: { "x-api-key": own } });
    assert.equal(fine.status, 200);
  });
}
