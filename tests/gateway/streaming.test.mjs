import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { request } from "node:http";
import { after, before, test } from "node:test";
import {
  eventually,
  putRoutes,
  putToken,
  runtimeMemory,
  sleep,
  startOnSockets,
} from "../support/harness.mjs";

const MIB = 1 << 20;
const GIB = 1 << 30;
/** Smaller only for a quick run; the guarantee is about 1 GiB. */
const SIZE = Number(process.env.STREAM_TEST_BYTES ?? GIB);
/** The most that the runtime's memory may grow while a body of SIZE passes. */
const FLAT = 160 * MIB;

let system;
let token;

before(async () => {
  system = await startOnSockets();
  await putRoutes(system, [
    ["/api/stream", "/stream"],
    ["/api/bytes", "/bytes"],
    ["/api/sink", "/sink"],
    ["/api/gzip", "/gzip"],
    ["/api/reset-after", "/reset-after"],
    ["/api/slow", "/slow"],
  ]);
  token = await putToken(system);
});
after(() => system?.stop());

const call = (where, init = {}) =>
  system.gateway(where, { ...init, headers: { "x-api-key": token, ...init.headers } });

/** Returns the growth of the runtime's memory during `work`. */
async function growthDuring(work) {
  const before = runtimeMemory();
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, runtimeMemory())), 50);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return peak - before;
}

test("the first chunk arrives while the upstream is still sending", async () => {
  const started = Date.now();
  const response = await call("/api/stream?chunks=4&interval_ms=400");
  const arrivals = [];
  for await (const chunk of response.body) {
    assert.match(Buffer.from(chunk).toString(), /^data: /);
    arrivals.push(Date.now() - started);
  }
  assert.equal(arrivals.length, 4, "each event comes by itself");
  assert.ok(arrivals[0] < 400, `first chunk after ${arrivals[0]} ms`);
  assert.ok(arrivals.at(-1) >= 1200, `last chunk after ${arrivals.at(-1)} ms`);
});

test(
  "a 1 GiB download passes with flat memory and every byte",
  { skip: process.platform !== "linux" },
  async (t) => {
    const hash = createHash("sha256");
    let bytes = 0;
    const growth = await growthDuring(async () => {
      const response = await call(`/api/bytes?n=${SIZE}`);
      for await (const chunk of response.body) {
        bytes += chunk.length;
        hash.update(chunk);
      }
    });
    assert.equal(bytes, SIZE);
    const expected = createHash("sha256");
    const block = Buffer.alloc(MIB, "0123456789abcdef");
    for (let at = 0; at < SIZE; at += MIB) expected.update(block.subarray(0, Math.min(MIB, SIZE - at)));
    assert.equal(hash.digest("hex"), expected.digest("hex"));
    t.diagnostic(`${SIZE} bytes down, memory grew by ${(growth / MIB).toFixed(0)} MiB`);
    assert.ok(growth < FLAT, `memory grew by ${growth} bytes`);
  },
);

/** Uploads `size` bytes over a plain socket client and returns the parsed JSON. */
function upload(size, headers = {}) {
  return new Promise((resolve, reject) => {
    const target = new URL(`${system.urls.gateway}/api/sink`);
    const outgoing = request(
      target,
      { method: "POST", headers: { "x-api-key": token, ...headers } },
      async (response) => {
        const chunks = [];
        for await (const chunk of response) chunks.push(chunk);
        resolve({ status: response.statusCode, body: JSON.parse(Buffer.concat(chunks).toString()) });
      },
    );
    outgoing.on("error", reject);
    const block = Buffer.alloc(MIB, "x");
    let left = size;
    const pump = () => {
      while (left > 0) {
        const part = block.subarray(0, Math.min(MIB, left));
        left -= part.length;
        if (!outgoing.write(part)) return outgoing.once("drain", pump);
      }
      outgoing.end();
    };
    pump();
  });
}

test(
  "a 1 GiB upload passes with flat memory, announced or chunked",
  { skip: process.platform !== "linux" },
  async (t) => {
    for (const headers of [{ "content-length": String(SIZE) }, { "transfer-encoding": "chunked" }]) {
      /** @type {any} */
      let answer;
      const growth = await growthDuring(async () => (answer = await upload(SIZE, headers)));
      assert.deepEqual([answer.status, answer.body.bytes], [200, SIZE]);
      t.diagnostic(`${SIZE} bytes up, memory grew by ${(growth / MIB).toFixed(0)} MiB`);
      assert.ok(growth < FLAT, `memory grew by ${growth} bytes`);
    }
  },
);

test("an announced length is announced to the upstream too", async () => {
  await upload(1000, { "content-length": "1000" });
  assert.equal(system.upstream.requests.at(-1).headers["content-length"], "1000");
});

test("a compressed response arrives as it was sent", async () => {
  const raw = await new Promise((resolve, reject) => {
    const headers = { "x-api-key": token, "accept-encoding": "gzip" };
    request(`${system.urls.gateway}/api/gzip`, { headers }, async (response) => {
      const chunks = [];
      for await (const chunk of response) chunks.push(chunk);
      resolve({ encoding: response.headers["content-encoding"], bytes: Buffer.concat(chunks).length });
    })
      .on("error", reject)
      .end();
  });
  assert.equal(raw.encoding, "gzip");
  assert.ok(raw.bytes < 200, `${raw.bytes} bytes`);
});

test("the client sees the cut when an upstream breaks off", async () => {
  const response = await call("/api/reset-after?bytes=5000");
  assert.equal(response.status, 200);
  await assert.rejects(response.arrayBuffer());
  assert.equal((await call("/api/gzip")).status, 200, "the next call is fine");
});

test("a client that hangs up ends the upstream call and harms nobody", async () => {
  const controller = new AbortController();
  const response = await call("/api/stream?chunks=100&interval_ms=100", { signal: controller.signal });
  const reader = response.body.getReader();
  await reader.read();
  const record = system.upstream.requests.findLast((r) => r.url.startsWith("/stream?chunks=100"));
  controller.abort();
  await eventually(() => record.aborted, 5_000, "the upstream seeing the end");
  await sleep(50);
  assert.equal((await call("/api/gzip")).status, 200);
});
