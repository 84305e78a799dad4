// Tokens that are derived from tokens: OAuth 2.0 Token Exchange at POST /token, and the calls made with them.
// Its lines stay in one file: each file starts a system of its own, which takes seconds.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import * as oauth from "oauth4webapi";
import WebSocket from "ws";
import { root } from "../../scripts/setup.mjs";
import { as, eventually, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";
import { deriveToken, mintLegacyToken, mintToken, sha256 } from "../support/tokens.mjs";

const GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
/** Ten seconds of cache, and a second for the machine. */
const CACHE_BOUND_MS = 11_000;
/** The key that signs, and one that it replaced. */
const [KEY, OLD_KEY] = [randomBytes(32), randomBytes(32)].map((key) => key.toString("base64"));

const ROUTES = [
  ["/api/echo", "/echo", { tags: ["open"] }],
  ["/api/other", "/echo"],
  ["/api/socket", "/socket"],
  ["/api/held", "/slow", { settings: { failover: { route_id: "rte__api_other", any_method: true } } }],
];

let system;
before(async () => {
  system = await startOnSockets({ gatewayVars: { DERIVE_KEY: `${KEY},${OLD_KEY}` } });
  await putRoutes(system, ROUTES);
  const token = await putToken(system);
  await eventually(async () => (await use(token)).status === 200);
});
after(() => system?.stop());

let made = 0;
/** A token that may derive others, and its id. */
async function parent(record = {}) {
  const id = `tok_parent_${++made}`;
  return { id, token: await putToken(system, { id, may_derive: true, ...record }) };
}

/** Asks for a derived token, and returns the response's status, headers and body. */
async function ask(token, more = {}, headers = {}) {
  const subject = token && { subject_token: token };
  const form = { grant_type: GRANT_TYPE, subject_token_type: ACCESS_TOKEN, ...more, ...subject };
  const response = await system.gateway("/token", {
    method: "POST",
    headers,
    body: new URLSearchParams(form),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

async function derive(token, more) {
  const { status, body } = await ask(token, more);
  assert.equal(status, 200, JSON.stringify(body));
  return body.access_token;
}

async function use(token, where = "/api/echo/x", init = {}) {
  const response = await system.gateway(where, { ...init, headers: { "x-api-key": token, ...init.headers } });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text && JSON.parse(text) };
}

/** The status and the code of a call. */
const outcome = async (...call) => {
  const { status, body } = await use(...call);
  return status === 200 ? 200 : `${status} ${body.code}`;
};

test("an OAuth client of npm performs the exchange unchanged, and its token makes calls", async () => {
  const { token } = await parent();
  const server = { issuer: system.urls.gateway, token_endpoint: `${system.urls.gateway}/token` };
  const client = { client_id: "a-workflow" };
  const http = { [oauth.allowInsecureRequests]: true };
  const exchange = (subject, scope) =>
    oauth.genericTokenEndpointRequest(
      server,
      client,
      oauth.None(),
      GRANT_TYPE,
      { subject_token: subject, subject_token_type: ACCESS_TOKEN, scope },
      http,
    );
  const answer = await oauth.processGenericTokenEndpointResponse(
    server,
    client,
    await exchange(token, "GET:/api/echo/*"),
  );
  assert.deepEqual(
    [answer.token_type, answer.expires_in, answer.scope, answer.issued_token_type],
    ["bearer", 3_600, "GET:/api/echo/*", ACCESS_TOKEN],
  );
  const called = await oauth.protectedResourceRequest(
    answer.access_token,
    "GET",
    new URL(`${system.urls.gateway}/api/echo/oauth`),
    undefined,
    undefined,
    http,
  );
  assert.deepEqual([called.status, (await called.json()).path], [200, "/echo/oauth"]);
  const refused = await exchange(token, "tag:a b/c");
  await assert.rejects(
    oauth.processGenericTokenEndpointResponse(server, client, refused),
    (error) =>
      error instanceof oauth.ResponseBodyError && error.error === "invalid_scope" && error.status === 400,
  );
});

test("the command of docs/gateway.md derives a token", async () => {
  const { token } = await parent();
  const document = readFileSync(path.join(root, "docs/gateway.md"), "utf8");
  const [command] = document.match(/^curl [^`]*\/token [^`]*/m);
  const { stdout } = await promisify(execFile)(
    "sh",
    ["-c", command.replace("http://localhost:8787", system.urls.gateway)],
    { env: { ...process.env, TOKEN: token } },
  );
  const { scope, expires_in } = JSON.parse(stdout);
  assert.deepEqual([scope, expires_in], ["GET:/api/demo/*", 600]);
});

test("the token may come in any of the usual headers, and the response is not to be stored", async () => {
  const { token } = await parent();
  for (const headers of [
    { "x-api-key": token },
    { authorization: `Bearer ${token}` },
    { "api-key": token },
  ]) {
    const { status, headers: got, body } = await ask(null, { scope: "tag:open", expires_in: 60 }, headers);
    assert.deepEqual([status, got.get("cache-control"), body.expires_in], [200, "no-store", 60]);
    assert.equal(got.get("access-control-allow-origin"), "*");
    assert.equal(await outcome(body.access_token), 200);
    assert.equal(await outcome(body.access_token, "/api/other"), "403 permission-denied");
  }
});

test("a derived token makes the calls of its scopes, with any carrier, and no others", async () => {
  const { token } = await parent();
  const child = await derive(token, { scope: "GET /api/echo/* POST:/api/other" });
  assert.equal(await outcome(child), 200);
  assert.equal(await outcome(child, "/api/other", { method: "POST", body: "x" }), 200);
  assert.equal(await outcome(child, "/api/other"), "403 permission-denied");
  assert.equal(await outcome(child, "/api/echo/x", { method: "POST", body: "x" }), "403 permission-denied");
  for (const headers of [
    { authorization: `Bearer ${child}` },
    { "api-key": child },
    { "x-goog-api-key": child },
  ])
    assert.equal((await system.gateway("/api/echo/x", { headers })).status, 200);
});

test("each error has the form of RFC 6749, and the endpoint takes nothing but a form", async () => {
  const { token } = await parent();
  const { token: plain } = await parent({ may_derive: false });
  const child = await derive(token);
  for (const [subject, more, error, about] of [
    [token, { grant_type: "client_credentials" }, "unsupported_grant_type", /grant_type/],
    [token, { subject_token_type: "urn:x" }, "invalid_request", /subject_token_type/],
    [token, { audience: "x" }, "invalid_target", /audience/],
    [token, { expires_in: "3601" }, "invalid_request", /expires_in/],
    [token, { calls: "0" }, "invalid_request", /calls/],
    [token, { ip: "nowhere" }, "invalid_request", /ip/],
    [token, { scope: "/api/x/*/y" }, "invalid_scope", /scope/],
    [null, {}, "invalid_request", /subject_token/],
    [mintToken(randomBytes(32).toString("base64")), {}, "invalid_request", /not valid/],
    [mintToken(system.secrets.TOKEN_CHECK_KEY), {}, "invalid_request", /not valid/],
    [mintLegacyToken(), {}, "invalid_request", /earlier system/],
    [plain, {}, "invalid_request", /may not derive/],
    [child, {}, "invalid_request", /derived token cannot derive/],
  ]) {
    const { status, headers, body } = await ask(subject, more);
    assert.deepEqual([status, body.error, Object.keys(body)], [400, error, ["error", "error_description"]]);
    assert.match(body.error_description, about);
    assert.equal(headers.get("cache-control"), "no-store");
    assert.match(headers.get("content-type"), /^application\/json/);
    assert.ok(headers.get("x-request-id"));
  }
  const inHeader = await ask(null, {}, { authorization: `Bearer ${child}` });
  assert.match(inHeader.body.error_description, /derived token cannot derive/);
  const post = async (body, type) =>
    (
      await (
        await system.gateway("/token", {
          method: "POST",
          body,
          headers: { "content-type": type },
          duplex: "half",
        })
      ).json()
    ).error_description;
  assert.match(await post("{}", "application/json"), /Send a form/);
  assert.match(
    await post("a=".padEnd(20_000, "x"), "application/x-www-form-urlencoded"),
    /at most 16384 bytes/,
  );
  const chunks = new Blob([`grant_type=${GRANT_TYPE}`]).stream();
  assert.match(await post(chunks, "application/x-www-form-urlencoded"), /with Content-Length/);
  assert.equal((await system.gateway("/token", { headers: { "x-api-key": token } })).status, 404, "GET");
});

test("while other bodies take all the room for them, the exchange is refused for a while", async () => {
  const { token } = await parent();
  // 32 MiB, held for a second upstream until the first responds.
  const held = [10, 10, 10, 2].map((mib) =>
    use(token, "/api/held?ms=3000", { method: "POST", body: Buffer.alloc(mib << 20) }),
  );
  await eventually(async () => {
    const { status, body } = await ask(token);
    return status === 503 && body.code === "store-unavailable";
  }, 3_000);
  for (const one of held) assert.equal((await one).status, 200);
  await derive(token);
});

test("10,000 forged and altered ones are refused and cost no KV read", async () => {
  const { token } = await parent();
  const child = await derive(token);
  assert.equal(await outcome(child), 200);
  const other = randomBytes(32).toString("base64");
  const altered = (n) => {
    const at = 4 + (n % (child.length - 4));
    const to = child[at] === "A" ? "B" : "A";
    return child.slice(0, at) + to + child.slice(at + 1);
  };
  const forgeries = [
    altered,
    () => deriveToken(token, other),
    () => deriveToken(token, system.secrets.TOKEN_CHECK_KEY),
    () => `ntd_${randomBytes(120).toString("base64url")}`,
    (n) => child.slice(0, 4 + (n % (child.length - 4))),
    (n) => child + "A".repeat(1 + (n % 5)),
  ];
  const read = async () => (await system.faults("gateway")).counts.kv_get;
  const [reads, started] = [await read(), Date.now()];
  const statuses = new Map();
  let n = 0;
  const worker = async () => {
    while (n < 10_000) {
      const forged = forgeries[n % forgeries.length](n++);
      const response = await system.gateway("/api/echo/x", { headers: { "x-api-key": forged } });
      await response.arrayBuffer();
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 20 }, worker));
  assert.deepEqual([...statuses.keys()], [401]);
  assert.ok(statuses.get(401) >= 10_000, `${statuses.get(401)}`);
  assert.equal((await read()) - reads, 0, `in ${Date.now() - started} ms`);
});

test("a token wider than its parent cannot be made", async () => {
  const { token } = await parent({
    scopes: ["GET /api/echo/*", "tag:open"],
    ip_allow: ["127.0.0.0/8", "::1"],
  });
  const local = { "cf-connecting-ip": "127.0.0.1" };
  for (const scope of [
    "*",
    "/api/echo/*",
    "POST:/api/echo/x",
    "echo",
    "GET:/api/*",
    "tag:open GET:/api/other",
  ]) {
    const { status, body } = await ask(token, { scope }, local);
    assert.deepEqual([status, body.error], [400, "invalid_scope"], scope);
  }
  for (const ip of ["0.0.0.0/0", "127.0.0.1 192.0.2.1"]) {
    const { status, body } = await ask(token, { ip }, local);
    assert.deepEqual([status, body.error], [400, "invalid_request"], ip);
  }
  const { body } = await ask(token, {}, local);
  assert.equal(body.scope, "GET:/api/echo/* tag:open", "the parent's if none is named");
  const ending = await parent({ expires_at: Date.now() + 20_000 });
  const { body: short } = await ask(ending.token);
  assert.ok(short.expires_in <= 20 && short.expires_in > 0, `${short.expires_in}`);
});

test("a signed token that claims more than its parent has opens what the parent opens, and no more", async () => {
  const { token } = await parent({ scopes: ["/api/echo/x"] });
  const wide = deriveToken(token, KEY, { ends_at: Date.now() + 10 * 365 * 86_400_000 });
  assert.equal(await outcome(wide), 200);
  assert.equal(await outcome(wide, "/api/other"), "403 permission-denied");
  assert.equal(await outcome(wide, "/api/nowhere"), "404 route-not-found");
});

test("what the parent loses, its derived tokens lose: scopes, addresses, the right to derive, the state", async () => {
  const change = async (record, wanted) => {
    const { id, token } = await parent();
    const child = await derive(token);
    assert.equal(await outcome(child), 200);
    await sleep(1_100);
    await putToken(system, { id, may_derive: true, version: 2, ...record }, token);
    await eventually(async () => (await outcome(child)) === wanted, CACHE_BOUND_MS, `${wanted}`);
  };
  await Promise.all([
    change({ scopes: ["/api/other"] }, "403 permission-denied"),
    change({ cap: [] }, "403 permission-denied"),
    change({ ip_allow: ["192.0.2.0/24"] }, "403 ip-not-allowed"),
    change({ may_derive: false }, "401 invalid-api-key"),
    change({ state: "disabled" }, "401 invalid-api-key"),
    change({ state: "revoked" }, "401 invalid-api-key"),
    change({ expires_at: Date.now() + 1_000 }, "401 token-expired"),
    change({ secret_ends_at: Date.now() + 1_000 }, "401 token-expired"),
  ]);
});

test("it ends by itself, and admits only the addresses that it was given", async () => {
  const { token } = await parent();
  const short = await derive(token, { expires_in: "2" });
  const local = await derive(token, { ip: "192.0.2.7, 198.51.100.0/24" });
  assert.equal(await outcome(short), 200);
  const from = (ip) => outcome(local, "/api/echo/x", { headers: { "cf-connecting-ip": ip } });
  assert.equal(await from("192.0.2.7"), 200);
  assert.equal(await from("::ffff:198.51.100.9"), 200);
  assert.equal(await from("192.0.2.8"), "403 ip-not-allowed");
  await eventually(async () => (await outcome(short)) === "401 token-expired", 5_000);
  const read = async () => (await system.faults("gateway")).counts.kv_get;
  await outcome(token);
  const reads = await read();
  for (let i = 0; i < 50; i++) assert.equal(await outcome(short), "401 token-expired");
  assert.ok((await read()) - reads <= 2, "an ended one is not looked up again");
});

test("its calls are its parent's: usage with the nonce, the exchange included, and the parent's limits", async () => {
  const { id, token } = await parent({ limits: { calls_per_minute: 3 } });
  const [one, other] = [await derive(token), await derive(token)];
  const results = [];
  for (const caller of [one, other, token, one]) results.push(await outcome(caller));
  assert.deepEqual(results, [200, 200, 200, "429 rate-limit-exceeded"]);
  const calls = await eventually(async () => {
    const events = await system.usage.events({ token_id: id });
    return events.length === 6 && events.reverse();
  });
  const nonceOf = (child) => Buffer.from(child.slice(4, -43), "base64url").toString().split("\n")[5];
  const [a, b] = [one, other].map(nonceOf);
  assert.match(a, /^[0-9A-Za-z]{11}$/);
  assert.deepEqual(
    calls.map(({ path, status, derived }) => [path, status, derived]),
    [
      ["/token", 200, a],
      ["/token", 200, b],
      ["/api/echo/x", 200, a],
      ["/api/echo/x", 200, b],
      ["/api/echo/x", 200, null],
      ["/api/echo/x", 429, a],
    ],
  );
  const file = await system.call(`/api/usage/export?token_id=${id}`, {
    headers: { authorization: `Bearer ${system.jwt()}` },
  });
  const [head, ...lines] = (await file.text()).trim().split(/\r?\n/);
  const column = head.split(",").indexOf("derived");
  assert.ok(lines.some((line) => line.split(",")[column] === a));
});

test("a token narrowed to some calls makes exactly that many, however many are made at once", async () => {
  const { token } = await parent();
  const child = await derive(token, { calls: "5" });
  const all = await Promise.all(Array.from({ length: 30 }, () => outcome(child)));
  assert.equal(all.filter((one) => one === 200).length, 5);
  assert.equal(all.filter((one) => one === "429 derived-calls-used-up").length, 25);
  assert.equal(await outcome(child, "/api/nowhere"), "404 route-not-found");
  assert.equal(await outcome(await derive(token, { calls: "1" })), 200, "another one has calls of its own");
  assert.equal(await outcome(token), 200);
});

test("a call that a limit of the parent refuses is not one of the token's calls", async () => {
  const { token } = await parent({ limits: { calls_per_second: 1 } });
  const child = await derive(token, { calls: "2" });
  const seen = [];
  for (let tries = 0; tries < 40 && seen.at(-1) !== "429 derived-calls-used-up"; tries++) {
    seen.push(await outcome(child));
    await sleep(150);
  }
  assert.equal(seen.filter((one) => one === 200).length, 2, JSON.stringify(seen));
  assert.ok(seen.includes("429 rate-limit-exceeded"), JSON.stringify(seen));
});

test("a call whose client hangs up before it is made is not one of the token's calls", async () => {
  const delay_ms = 700;
  // The token's own count is asked for first, and then that of its parent's limits.
  for (const [limits, afterMs] of [
    [{}, 300],
    [{ calls_per_minute: 100 }, 1_000],
  ]) {
    const { token } = await parent({ limits });
    const child = await derive(token, { calls: "1" });
    await system.faults("gateway", { limiter: { delay_ms } });
    const { hung_up } = await system.hangUp("/api/echo/x", { headers: { "x-api-key": child } }, { afterMs });
    assert.ok(hung_up);
    await sleep(2_500);
    await system.faults("gateway", { limiter: null });
    assert.equal(await outcome(child), 200);
    assert.equal(await outcome(child), "429 derived-calls-used-up");
  }
});

test("while calls cannot be counted, a token that may make only so many makes none", async () => {
  const { token } = await parent();
  const [counted, other] = [await derive(token, { calls: "5" }), await derive(token)];
  await system.faults("gateway", { limiter: { fail: true } });
  try {
    assert.equal(await outcome(counted), "503 limits-unavailable");
    assert.equal(await outcome(other), 200);
  } finally {
    await system.faults("gateway", { limiter: null });
  }
  assert.equal(await outcome(counted), 200);
});

test("each key of DERIVE_KEY verifies and the first signs", async () => {
  const { token } = await parent();
  assert.equal(await outcome(deriveToken(token, OLD_KEY)), 200);
  assert.equal(await outcome(deriveToken(token, randomBytes(32).toString("base64"))), "401 invalid-api-key");
  const child = await derive(token);
  const lines = Buffer.from(child.slice(4, -43), "base64url").toString().split("\n");
  const [version, hash, ends_at, calls, ip, nonce, ...scopes] = lines;
  assert.equal(deriveToken(token, KEY, { version, hash, ends_at, calls, ip, nonce, scopes }), child);
  assert.equal(hash, sha256(token));
});

test("a secret that is rotated out ends the tokens derived from it, and the new one derives others", async () => {
  const admin = (method, where, body) => as(system, "admin", method, where, body);
  const created = await admin("POST", "/api/tokens", {
    name: "derives",
    team_id: "automation",
    scopes: ["/api/echo/*"],
    may_derive: true,
  });
  assert.deepEqual([created.status, created.body.may_derive], [201, true]);
  const { id, token } = created.body;
  const child = await derive(token);
  assert.equal(await outcome(child), 200);
  const rotated = await admin("POST", `/api/tokens/${id}/rotate`, { grace_hours: 0 });
  await eventually(async () => (await outcome(child)) === "401 token-expired", CACHE_BOUND_MS);
  const next = await derive(rotated.body.token);
  assert.equal(await outcome(next), 200);
  await sleep(1_100);
  const changed = await admin("PUT", `/api/tokens/${id}`, { may_derive: false });
  assert.equal(changed.body.may_derive, false);
  await eventually(async () => (await outcome(next)) === "401 invalid-api-key", CACHE_BOUND_MS);
  const { body } = await admin("GET", `/api/dashboard/audit-logs?entity_id=${id}&action=update-token`);
  const [edit] = body.items;
  assert.deepEqual([edit.before.may_derive, edit.after.may_derive], [true, false]);
});

test("a web socket of a derived token is closed once its parent is revoked", async () => {
  const { id, token } = await parent();
  const child = await derive(token, { scope: "/api/socket/x" });
  const address = `${system.urls.gateway.replace("http", "ws")}/api/socket/x`;
  // As a browser does, which can set no header.
  const socket = new WebSocket(address, ["realtime", child]);
  await once(socket, "open");
  socket.send("hello");
  assert.equal(String((await once(socket, "message"))[0]), "hello");
  const closed = once(socket, "close");
  await sleep(1_100);
  await putToken(system, { id, may_derive: true, state: "revoked", version: 2 }, token);
  assert.equal((await closed)[0], 1008);
});

test("a web socket of a derived token is closed at its end", async () => {
  const { token } = await parent();
  const child = await derive(token, { expires_in: "3" });
  const socket = new WebSocket(`${system.urls.gateway.replace("http", "ws")}/api/socket`, [
    "realtime",
    child,
  ]);
  await once(socket, "open");
  assert.equal((await once(socket, "close"))[0], 1008);
});
