import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, test } from "node:test";
import { putRoutes, putToken, startOnSockets } from "../support/harness.mjs";
import { mintToken, sha256 } from "../support/tokens.mjs";

let system;
let token;

before(async () => {
  system = await startOnSockets();
  await putRoutes(system, [
    ["/api/echo", "/echo", { credential: { kind: "bearer", token: "vendor-secret" } }],
    ["/api/plain", "/echo"],
    ["/api/header", "/echo", { credential: { kind: "header", name: "X-Vendor-Key", prefix: "Key ", value: "vendor-secret" } }],
    ["/api/basic", "/echo", { credential: { kind: "basic", username: "u", password: "vendor-secret" } }],
    ["/api/query", "/echo", { credential: { kind: "query", parameter: "key", value: "vendor secret&" } }],
    ["/api/query-redirect", "/redirect", { credential: { kind: "query", parameter: "key", value: "vendor-key" } }],
    ["/api/cookies-on", "/echo", { forward_cookies: true }],
    ["/api/readonly", "/echo", { methods: ["GET", "HEAD"] }],
    ["/api/cors", "/echo", { cors_origins: ["https://app.example"] }],
    ["/api/status", "/status"],
    ["/api/redirect", "/redirect"],
    ["/api/cookies", "/cookies"],
    ["/api/bytes", "/bytes"],
    ["/api/slow", "/slow", { timeout_ms: 300 }],
    ["/api/dead", "http://127.0.0.1:9"],
    ["/api/reset", "/reset"],
  ]);
  token = await putToken(system);
});
after(() => system?.stop());

const call = (where, init = {}) => system.gateway(where, { ...init, headers: { "x-api-key": token, ...init.headers } });

/** The answer's status and its envelope, checked for form. */
async function refusal(response) {
  const text = await response.text();
  const body = JSON.parse(text);
  assert.deepEqual(Object.keys(body), ["error", "message", "code", "request_id"]);
  assert.equal(response.headers.get("x-request-id"), body.request_id);
  assert.match(response.headers.get("server-timing"), /auth;dur=\d+, upstream;dur=\d+/);
  assert.doesNotMatch(text, /stack|panick|vendor-secret|scope.*\[/i);
  return [response.status, body.error, body.code];
}

test("the echo holds the vendor credential and neither our token nor platform headers", async () => {
  const response = await call("/api/echo/a/b?x=1&y=%20", {
    headers: {
      "cf-connecting-ip": "10.9.9.9",
      "x-forwarded-for": "10.9.9.9",
      "x-real-ip": "10.9.9.9",
      cookie: "__session=clerk",
      "x-own": "kept",
      "api-key": token,
    },
  });
  assert.equal(response.status, 200);
  const echo = await response.json();
  assert.equal(echo.path, "/echo/a/b");
  assert.equal(echo.query, "?x=1&y=%20");
  assert.equal(echo.headers.authorization, "Bearer vendor-secret");
  assert.equal(echo.headers["x-own"], "kept");
  assert.equal(echo.headers["x-request-id"], response.headers.get("x-request-id"));
  assert.ok(!JSON.stringify(echo).includes(token));
  const names = Object.keys(echo.headers);
  // `cf-worker` is the platform's: Cloudflare's edge, and its local stand-in, put it on every call
  // that leaves a Worker, after the Worker. No Worker can take it off.
  const leaked = names.filter((name) => /^(cf-|x-forwarded-|x-real-ip|cookie|x-api-key|api-key)/.test(name));
  assert.deepEqual(leaked, ["cf-worker"]);
});

test("all four carriers are taken and removed", async () => {
  for (const [name, value] of [
    ["x-api-key", token],
    ["authorization", `Bearer ${token}`],
    ["api-key", token],
    ["x-goog-api-key", token],
  ]) {
    const response = await system.gateway("/api/plain", { headers: { [name]: value } });
    assert.equal(response.status, 200, name);
    const echo = await response.json();
    assert.equal(echo.headers[name], undefined, name);
  }
});

test("a header that is no carrier of ours is the upstream's", async () => {
  const echo = await (await call("/api/plain", { headers: { authorization: "Bearer sk-own", "api-key": "own" } })).json();
  assert.equal(echo.headers.authorization, "Bearer sk-own");
  assert.equal(echo.headers["api-key"], "own");
});

test("each credential kind is attached as it says", async () => {
  const echo = async (where, init) => (await call(where, init)).json();
  assert.equal((await echo("/api/header")).headers["x-vendor-key"], "Key vendor-secret");
  assert.equal((await echo("/api/basic")).headers.authorization, `Basic ${btoa("u:vendor-secret")}`);
  const query = await echo("/api/query?a=1&key=mine&b=2");
  assert.equal(new URLSearchParams(query.query).getAll("key").join(), "vendor secret&");
  assert.equal(new URLSearchParams(query.query).get("a"), "1");
});

test("cookies go on only where the route says so", async () => {
  const echo = await (await call("/api/cookies-on", { headers: { cookie: "a=1" } })).json();
  assert.equal(echo.headers.cookie, "a=1");
});

test("bodies of every method arrive whole", async () => {
  const body = "x".repeat(100_000);
  for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
    const echo = await (await call("/api/plain", { method, body, headers: { "content-type": "text/plain" } })).json();
    assert.deepEqual([echo.method, echo.body_bytes, echo.body_sha256], [method, body.length, sha256(body)], method);
  }
});

test("GET with a body and with an announced length of 0 pass like any other", async () => {
  const send = (method, headers, body) =>
    new Promise((resolve, reject) => {
      const outgoing = request(`${system.urls.gateway}/api/plain`, { method, headers: { "x-api-key": token, ...headers } }, async (response) => {
        const chunks = [];
        for await (const chunk of response) chunks.push(chunk);
        resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() });
      });
      outgoing.on("error", reject).end(body);
    });
  const search = await send("GET", { "content-length": "13" }, '{"query":"a"}');
  assert.deepEqual([search.status, JSON.parse(search.text).body], [200, '{"query":"a"}']);
  assert.equal((await send("GET", { "content-length": "0" })).status, 200);
  assert.equal((await send("HEAD", { "content-length": "0" })).status, 200);
});

test("a redirect that keeps its query does not hand the vendor's key to the client", async () => {
  for (const to of ["/redirect/next?key=vendor-key&a=1", "?key=vendor-key", "https://other.example/?key=vendor-key"]) {
    const response = await call(`/api/query-redirect?to=${encodeURIComponent(to)}`);
    assert.equal(response.status, 302);
    assert.doesNotMatch(response.headers.get("location"), /vendor-key/, to);
  }
});

test("a second route with the id of the first cannot borrow its opened credential", async () => {
  const other = await startOnSockets();
  try {
    await putRoutes(other, [["/api/a", "/echo", { credential: { kind: "bearer", token: "vendor-secret" } }]]);
    const table = JSON.parse(await other.kv.get("routes"));
    table.routes.push({ ...table.routes[0], path: "/api/b", url: table.routes[0].url.replace("localhost", "127.0.0.1") });
    await other.kv.put("routes", JSON.stringify(table));
    const headers = { "x-api-key": await putToken(other) };
    assert.equal((await other.gateway("/api/a", { headers })).status, 200);
    assert.equal((await other.gateway("/api/b", { headers })).status, 502);
    assert.equal(other.upstream.requests.length, 1);
  } finally {
    await other.stop();
  }
});

test("multipart bodies arrive as they were sent", async () => {
  const form = new FormData();
  form.set("file", new Blob(["content of the file"]), "a.txt");
  const echo = await (await call("/api/plain", { method: "POST", body: form })).json();
  assert.match(echo.headers["content-type"], /^multipart\/form-data; boundary=/);
  assert.match(echo.body, /content of the file/);
});

test("HEAD and Range work", async () => {
  const head = await call("/api/bytes?n=1000", { method: "HEAD" });
  assert.deepEqual([head.status, head.headers.get("content-length")], [200, "1000"]);
  const part = await call("/api/bytes?n=1000", { headers: { range: "bytes=16-31" } });
  assert.equal(part.status, 206);
  assert.equal(part.headers.get("content-range"), "bytes 16-31/1000");
  assert.equal(await part.text(), "0123456789abcdef");
});

test("the upstream's status and headers arrive untouched", async () => {
  for (const status of [200, 201, 204, 304, 400, 401, 404, 418, 500, 503]) {
    const response = await call(`/api/status/${status}`);
    assert.equal(response.status, status);
    await response.arrayBuffer();
  }
});

test("a remainder with //, %2F and a slash at its end survives", async () => {
  const echo = await (await call("/api/plain/a//b%2Fc/?q")).json();
  assert.deepEqual([echo.path, echo.query], ["/echo/a//b%2Fc/", "?q"]);
});

test("Location and Set-Cookie come back to the gateway with every cookie kept", async () => {
  const to = (target) => call(`/api/redirect?status=307&to=${encodeURIComponent(target)}`);
  const inside = await to("/redirect/next?a=1");
  assert.equal(inside.status, 307);
  assert.equal(inside.headers.get("location"), `${system.urls.gateway}/api/redirect/next?a=1`);
  assert.deepEqual(inside.headers.getSetCookie(), ["hop=1; Path=/api/redirect", "two=2; Path=/api/redirect"]);
  const absolute = await to(`${system.upstream.url}/redirect/next`);
  assert.equal(absolute.headers.get("location"), `${system.urls.gateway}/api/redirect/next`);
  const elsewhere = await to("https://other.example/x");
  assert.equal(elsewhere.headers.get("location"), "https://other.example/x");
  const cookies = (await call("/api/cookies")).headers.getSetCookie();
  assert.deepEqual(cookies, [
    "a=1; Path=/api/cookies; HttpOnly",
    "b=2; Path=/api/cookies/deep; Secure",
    "c=3; Expires=Wed, 21 Oct 2037 07:28:00 GMT",
  ]);
});

test("its own errors have the strings that workflows rely on", async () => {
  assert.deepEqual(await refusal(await system.gateway("/api/plain")), [401, "Missing API Key", "missing-api-key"]);
  const forged = mintToken(Buffer.alloc(32).toString("base64"));
  for (const bad of ["nonsense", "ntk_short", forged, mintToken(system.secrets.TOKEN_CHECK_KEY)]) {
    const response = await system.gateway("/api/plain", { headers: { "x-api-key": bad } });
    assert.deepEqual(await refusal(response), [401, "Invalid API Key", "invalid-api-key"]);
  }
  assert.deepEqual(await refusal(await call("/nowhere")), [404, "Route Not Found", "route-not-found"]);
  assert.deepEqual(await refusal(await call("/api/readonly", { method: "POST" })), [405, "Method Not Allowed", "method-not-allowed"]);
  assert.deepEqual(await refusal(await call("/api/dead")), [502, "Bad Gateway", "bad-gateway"]);
  assert.deepEqual(await refusal(await call("/api/reset")), [502, "Bad Gateway", "bad-gateway"]);
  assert.deepEqual(await refusal(await call("/api/slow?ms=2000")), [504, "Gateway Timeout", "gateway-timeout"]);
  const loop = await call("/api/plain", { headers: { "x-token-manager-hop": "1" } });
  assert.deepEqual(await refusal(loop), [508, "Loop Detected", "loop-detected"]);
});

test("revoked, disabled and unknown look alike; expired is told apart", async () => {
  const use = async (record) => {
    const other = await putToken(system, record);
    return refusal(await system.gateway("/api/plain", { headers: { "x-api-key": other } }));
  };
  const invalid = [401, "Invalid API Key", "invalid-api-key"];
  assert.deepEqual(await use({ state: "revoked" }), invalid);
  assert.deepEqual(await use({ state: "disabled" }), invalid);
  assert.deepEqual(await use({ expires_at: Date.now() - 1 }), [401, "Token Expired", "token-expired"]);
  assert.deepEqual(await use({ secret_ends_at: Date.now() - 1 }), [401, "Token Expired", "token-expired"]);
  assert.deepEqual(await use({ scopes: [] }), [403, "Permission Denied", "permission-denied"]);
  assert.deepEqual(await use({ scopes: ["GET /api/plain/x"] }), [403, "Permission Denied", "permission-denied"]);
  assert.deepEqual(await use({ ip_allow: ["192.0.2.0/24"] }), [403, "Permission Denied", "ip-not-allowed"]);
});

test("a path that hides a climb reaches no upstream", async () => {
  const before = system.upstream.requests.length;
  for (const climb of ["/api/plain/..%2Fstatus/200", "/api/plain/%2e%2e%2fstatus", "/api/plain/..%5cstatus"]) {
    assert.deepEqual((await refusal(await call(climb)))[0], 404, climb);
  }
  assert.equal(system.upstream.requests.length, before);
});

/** Parity fault 1: this went to another host with the real bearer. */
test("a longer segment does not reach the route of a shorter one", async () => {
  assert.deepEqual((await refusal(await call("/api/echo.evil.example/x")))[0], 404);
});

/** Parity faults 2 and 5: a credential could be sent to any host; a missing one was left out. */
test("a credential sealed to another route or origin is refused and nothing is sent", async () => {
  const other = await startOnSockets();
  try {
    await putRoutes(other, [["/api/a", "/echo", { credential: { kind: "bearer", token: "vendor-secret" } }]]);
    const table = JSON.parse(await other.kv.get("routes"));
    const [a] = table.routes;
    const elsewhere = a.url.replace("localhost", "127.0.0.1");
    table.routes = [
      { ...a, url: elsewhere },
      { ...a, id: "rte_other", path: "/api/b" },
      { ...a, path: "/api/c", credential: "garbage" },
    ];
    await other.kv.put("routes", JSON.stringify(table));
    const own = await putToken(other);
    for (const where of ["/api/a", "/api/b", "/api/c"]) {
      const response = await other.gateway(where, { headers: { "x-api-key": own } });
      assert.deepEqual(await refusal(response), [502, "Upstream Credential Unavailable", "upstream-credential-unavailable"]);
    }
    assert.equal(other.upstream.requests.length, 0);
  } finally {
    await other.stop();
  }
});

test("preflight is answered at the edge for listed origins and errors carry CORS too", async () => {
  const preflight = (origin) =>
    system.gateway("/api/cors/x", {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "x-api-key" },
    });
  const allowed = await preflight("https://app.example");
  assert.equal(allowed.status, 204);
  assert.equal(allowed.headers.get("access-control-allow-origin"), "https://app.example");
  assert.equal(allowed.headers.get("access-control-allow-headers"), "x-api-key");
  assert.equal(allowed.headers.get("access-control-allow-credentials"), null);
  const refused = await preflight("https://evil.example");
  assert.deepEqual([refused.status, refused.headers.get("access-control-allow-origin")], [401, null]);
  const error = await system.gateway("/api/cors", { headers: { origin: "https://app.example" } });
  assert.deepEqual([error.status, error.headers.get("access-control-allow-origin")], [401, "https://app.example"]);
  const off = await call("/api/plain", { headers: { origin: "https://app.example" } });
  assert.equal(off.headers.get("access-control-allow-origin"), null);
});

test("health needs no key and every response has an id and timings", async () => {
  const health = await system.gateway("/health");
  assert.equal(health.status, 200);
  assert.equal((await health.json()).service, "gateway");
  const response = await call("/api/plain", { headers: { "x-request-id": "run-12345678" } });
  assert.equal(response.headers.get("x-request-id"), "run-12345678");
  assert.match(response.headers.get("server-timing"), /auth;dur=\d+, upstream;dur=\d+/);
});
