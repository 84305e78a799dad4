// What the vendor said: the beginning of an error's body, kept with the call, without secrets.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { as, eventually, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";

const KEY = "sk-vendor-0123456789abcdef";
let system;
let token;
let vendor;
/**
 * The vendor's response: its body is in pieces, with a pause between them.
 * @type {{ status: number, headers: any, pieces: any[] }}
 */
let says = { status: 400, headers: {}, pieces: ["no"] };
before(async () => {
  vendor = createServer(async (request, response) => {
    request.resume();
    response.writeHead(says.status, { "content-type": "application/json", ...says.headers });
    for (const piece of says.pieces) {
      if (!response.write(piece)) await new Promise((resolve) => response.once("drain", resolve));
      if (says.pieces.length < 10) await sleep(20);
    }
    response.end();
  });
  await new Promise((resolve) => vendor.listen(0, "127.0.0.1", resolve));
  system = await startOnSockets({ gatewayVars: { COUNT_CROSSINGS: "true" } });
  const base = `http://127.0.0.1:${/** @type {any} */ (vendor.address()).port}`;
  const credential = { kind: "bearer", token: KEY };
  await putRoutes(system, [
    ["/api/kept", base, { credential, settings: { keep_errors: true } }],
    ["/api/plain", base, { credential }],
  ]);
  token = await putToken(system, { id: "tok_said" });
  await eventually(async () => (await call("/api/plain")).status === 400);
});
after(async () => {
  await system?.stop();
  vendor?.close();
});

const call = (where, init = {}) =>
  system.gateway(where, { ...init, headers: { "x-api-key": token, ...init.headers } });

/** Makes a call and returns its record, asked for by its id. */
async function recorded(where, init = {}) {
  const response = await call(where, init);
  const body = await response.text();
  const id = response.headers.get("x-request-id");
  const [listed] = await eventually(async () => {
    const found = await system.usage.events({ request_id: id });
    return found.length > 0 && found;
  }, 15_000);
  const [one] = await system.usage.events({ id: listed.id, from: `${listed.at}`, to: `${listed.at + 1}` });
  return { response, body, listed, one };
}

test("the vendor's words are kept with the call, and its request id is told under one name", async () => {
  const pieces = ['{"error":{"message":"The model ', '`gpt-9` does not exist","code":"model_not_found"}}'];
  says = { status: 404, headers: { "request-id": "req_011CSHoEeqs5C35K2UUqR7Fy" }, pieces };
  const { response, body, listed, one } = await recorded("/api/kept");
  assert.equal(body, pieces.join(""));
  assert.equal(response.headers.get("x-upstream-request-id"), "req_011CSHoEeqs5C35K2UUqR7Fy");
  assert.equal(listed.upstream_request_id, "req_011CSHoEeqs5C35K2UUqR7Fy");
  assert.equal(listed.error, undefined, "lists are short");
  assert.deepEqual(one.error, { body: pieces.join("") });
  says = { ...says, status: 200 };
  const fine = await recorded("/api/kept");
  assert.deepEqual([fine.one.error, fine.one.upstream_request_id], [undefined, null], "only errors are kept");
});

test("off keeps nothing of the body, and the vendor's request id all the same", async () => {
  says = { status: 500, headers: { "x-request-id": "abc-123" }, pieces: ["broken"] };
  const { one } = await recorded("/api/plain");
  assert.deepEqual([one.error, one.upstream_request_id], [undefined, "abc-123"]);
});

test("no credential and no token comes back, in any form, across pieces and at the border", async () => {
  const forms = (secret) => [
    secret,
    encodeURIComponent(secret.replaceAll("-", "%2d")),
    [...secret].map((c) => `%${c.charCodeAt(0).toString(16)}`).join(""),
    btoa(secret),
    btoa(`x${secret}`),
    btoa(JSON.stringify({ key: secret })),
    JSON.stringify(secret.replaceAll("-", "\\u002d")),
  ];
  const made = [];
  for (const secret of [KEY, token, "own-key-of-the-client"]) {
    for (const form of forms(secret)) {
      for (const length of [10, 4_096 - 12, 4_096 - Math.ceil(form.length / 2)]) {
        const whole = `${"x ".repeat(length / 2)}{"key":"${form}","b":1} ${"y".repeat(50)}`;
        const middle = Math.ceil(length + 8 + form.length / 2);
        says = { status: 401, headers: {}, pieces: [whole.slice(0, middle), whole.slice(middle)] };
        const response = await call("/api/kept?x=1", { headers: { "api-key": "own-key-of-the-client" } });
        assert.equal(await response.text(), whole, "the client's copy is untouched");
        made.push({ secret, form, id: response.headers.get("x-request-id") });
      }
    }
  }
  says = { status: 401, headers: { "request-id": `a-${KEY}` }, pieces: ["no"] };
  const { listed } = await recorded("/api/kept");
  assert.equal(listed.upstream_request_id, null, "a header that holds the credential");
  const records = await eventually(async () => {
    const found = await system.usage.events({ token_id: "tok_said", path: "/api/kept" });
    return made.every(({ id }) => found.some((one) => one.request_id === id)) && found;
  }, 20_000);
  let kept = 0;
  for (const { secret, form, id } of made) {
    const { id: record, at } = records.find((one) => one.request_id === id);
    const [one] = await system.usage.events({ id: record, from: `${at}`, to: `${at + 1}` });
    const body = one.error?.body ?? "";
    kept += body.length > 0 ? 1 : 0;
    for (const part of [form, secret, secret.slice(0, 12), form.slice(0, 14)])
      assert.ok(!body.includes(part), `${part} in …${body.slice(-120)}`);
  }
  assert.equal(kept, made.length, "the other words are kept");
});

test("an error of ten megabytes passes whole and costs four kilobytes", async () => {
  const piece = Buffer.alloc(65_536, "z ");
  says = { status: 502, headers: {}, pieces: Array.from({ length: 160 }, () => piece) };
  const before = await system.wasm();
  const { body, one } = await recorded("/api/kept");
  assert.equal(body.length, 160 * 65_536);
  assert.ok(one.error.is_cut && one.error.body.length <= 4_096 && one.error.body.length > 4_000);
  const { exports } = await system.wasm();
  const fed = exports.feed - (before.exports.feed ?? 0);
  assert.ok(fed <= 8, `${fed} pieces went into wasm`);
});

test("a compressed error reaches the client as it is, and is kept in plain text", async () => {
  const text = '{"error":{"message":"Try again later"}}'.repeat(50);
  says = { status: 429, headers: { "content-encoding": "gzip" }, pieces: [gzipSync(text)] };
  const { body, one } = await recorded("/api/kept", { headers: { "accept-encoding": "gzip" } });
  assert.equal(body, text);
  assert.equal(one.error.body, text);
});

test("many long errors at once lose no call", async () => {
  const pieces = ['"\\'.repeat(4_000)];
  says = { status: 503, headers: {}, pieces };
  const before = (await system.usage.events({ token_id: "tok_said" })).length;
  await Promise.all(Array.from({ length: 120 }, async () => (await call("/api/kept")).text()));
  await eventually(
    async () => (await system.usage.events({ token_id: "tok_said" })).length === before + 120,
    20_000,
  );
  const { dropped } = await system.usage.losses();
  assert.equal(dropped, 0);
});

test("the team and those who see upstreams read it, and nobody else", async () => {
  says = { status: 400, headers: {}, pieces: ["for the team"] };
  const { one } = await recorded("/api/kept");
  const read = async (user) =>
    (await as(system, user, "GET", `/api/usage/events?id=${one.id}&from=${one.at}&to=${one.at + 1}`)).body
      .items?.[0]?.error?.body;
  assert.deepEqual([await read("admin"), await read("viewer")], ["for the team", "for the team"]);
  assert.equal(await read("newcomer"), undefined);
});
