import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, before, test } from "node:test";
import { as, startOnSockets, startSystem } from "../support/harness.mjs";

let system;
before(async () => (system = await startSystem()));
after(() => system?.stop());

const ask = (authorization, headers = {}) =>
  system.call("/api/tokens", { headers: { ...(authorization && { authorization }), ...headers } });
const now = () => Math.floor(Date.now() / 1000);

test("401: every bad session is refused, and only an expired one has its own code", async () => {
  const jwt = (options) => `Bearer ${system.jwt("admin", options)}`;
  const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const good = system.jwt();
  const [head, claims, signature] = good.split(".");
  const forged = Buffer.from(
    JSON.stringify({ ...JSON.parse(Buffer.from(claims, "base64url").toString()), sub: "user_other" }),
  ).toString("base64url");
  for (const [what, authorization, code] of [
    ["none", undefined, "unauthenticated"],
    ["no bearer", good, "unauthenticated"],
    ["garbage", "Bearer garbage", "unauthenticated"],
    ["expired", jwt({ expiresIn: -60 }), "session-expired"],
    ["not yet", jwt({ claims: { nbf: now() + 600 } }), "unauthenticated"],
    ["another issuer", jwt({ claims: { iss: "https://evil.example" } }), "unauthenticated"],
    ["another origin", jwt({ claims: { azp: "https://evil.example" } }), "unauthenticated"],
    ["no origin", jwt({ claims: { azp: undefined } }), "unauthenticated"],
    ["alg none", jwt({ alg: "none" }), "unauthenticated"],
    ["HS256 with the public key", jwt({ alg: "HS256" }), "unauthenticated"],
    ["another key", jwt({ key: stranger }), "unauthenticated"],
    ["an unknown kid", jwt({ header: { kid: "other" } }), "unauthenticated"],
    ["a template's token, without a session", jwt({ claims: { sid: undefined } }), "unauthenticated"],
    ["an OAuth access token", jwt({ header: { typ: "at+jwt" } }), "unauthenticated"],
    ["a token for another backend", jwt({ claims: { aud: "https://other.example" } }), "unauthenticated"],
    ["a machine's token", jwt({ claims: { scopes: "mch_1", sub: "mch_2" } }), "unauthenticated"],
    ["a token that lives for years", jwt({ expiresIn: 300_000_000 }), "unauthenticated"],
    ["a pending session", jwt({ claims: { sts: "pending" } }), "unauthenticated"],
    ["changed claims", `Bearer ${head}.${forged}.${signature}`, "unauthenticated"],
  ]) {
    const response = await ask(authorization);
    const body = await response.json();
    assert.deepEqual([response.status, body.code], [401, code], what);
  }
  assert.equal((await ask(`Bearer ${good}`)).status, 200);
  assert.equal((await ask(undefined, { cookie: `__session=${good}` })).status, 401, "never from a cookie");
});

test("CORS allows exactly the configured origins, on errors too", async () => {
  const from = async (origin, init) => {
    const response = await system.call("/api/tokens", { headers: { origin }, ...init });
    return [
      response.status,
      response.headers.get("access-control-allow-origin"),
      response.headers.get("access-control-allow-credentials"),
    ];
  };
  assert.deepEqual(await from(system.origin), [401, system.origin, null]);
  assert.deepEqual(await from("https://evil.example"), [401, null, null]);
  const preflight = (origin) =>
    from(origin, { method: "OPTIONS", headers: { origin, "access-control-request-method": "PUT" } });
  assert.deepEqual(await preflight(system.origin), [204, system.origin, null]);
  assert.equal((await preflight("https://evil.example"))[1], null);
});

test("unknown paths and methods get an error in the envelope", async () => {
  const answer = async (where, method) => {
    const response = await system.call(where, {
      method,
      headers: { authorization: `Bearer ${system.jwt()}` },
    });
    const body = await response.json();
    return [response.status, body.code, response.headers.get("allow")];
  };
  assert.deepEqual(await answer("/api/nothing", "GET"), [404, "not-found", null]);
  const [status, code, allow] = await answer("/api/tokens", "PATCH");
  assert.deepEqual([status, code], [405, "method-not-allowed"]);
  assert.match(allow, /GET/);
});

test("a token reads its own usage and no other", async () => {
  assert.equal((await system.call("/api/usage/me")).status, 401);
  const response = await system.call("/api/usage/me", { headers: { "x-api-key": "ntk_nonsense" } });
  assert.deepEqual([response.status, (await response.json()).error], [401, "Invalid API Key"]);
  // Parity fault 3: these were open to anyone.
  for (const where of ["/api/usage/stats", "/api/tokens", "/api/routes"])
    assert.equal((await system.call(where)).status, 401, where);
});

test("health touches no store and needs no session", async () => {
  const response = await system.call("/health");
  assert.equal(response.status, 200);
  assert.equal((await response.json()).service, "admin-api");
});

test("each person and each token has a rate limit", async () => {
  const bounded = await startOnSockets({ rates: { PEOPLE_RATE: 5, TOKEN_RATE: 3 } });
  try {
    const me = (user) =>
      bounded.call("/api/me", { headers: { authorization: `Bearer ${bounded.jwt(user)}` } });
    const statuses = async (count, ask) => {
      const seen = [];
      for (let i = 0; i < count; i++) seen.push((await ask()).status);
      return seen;
    };
    const made = await as(bounded, "manager", "POST", "/api/tokens", {
      name: "t",
      team_id: "automation",
      scopes: ["*"],
    });
    assert.equal(made.status, 201);
    assert.ok((await statuses(11, () => me("admin"))).includes(429), "at the latest in the next window");
    const refused = await me("admin");
    assert.deepEqual(
      [refused.status, (await refused.json()).code, refused.headers.get("retry-after")],
      [429, "too-many-requests", "60"],
    );
    assert.equal((await me("viewer")).status, 200, "others are not affected");
    const usage = (token) => bounded.call("/api/usage/me", { headers: { "x-api-key": token } });
    const used = await statuses(7, () => usage(made.body.token));
    assert.deepEqual([used[0], used.includes(429)], [200, true]);
  } finally {
    await bounded.stop();
  }
});
