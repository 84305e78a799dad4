// Calls that the gateway passes through as they are.
// Its lines stay in one file: each file starts a system of its own, which takes seconds.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";
import { mintToken, sha256 } from "../support/tokens.mjs";

let system;
let token;

before(async () => {
  system = await startOnSockets();
  await putRoutes(system, ROUTES);
  token = await putToken(system);
});
after(() => system?.stop());

const ROUTES = [
  ["/api/echo", "/echo", { credential: { kind: "bearer", token: "vendor-secret" } }],
  ["/api/plain", "/echo"],
  [
    "/api/header",
    "/echo",
    { credential: { kind: "header", name: "X-Vendor-Key", prefix: "Key ", value: "vendor-secret" } },
  ],
  ["/api/basic", "/echo", { credential: { kind: "basic", username: "u", password: "vendor-secret" } }],
  ["/api/query", "/echo", { credential: { kind: "query", parameter: "key", value: "vendor secret&" } }],
  [
    "/api/query-redirect",
    "/redirect",
    { credential: { kind: "query", parameter: "key", value: "vendor-key" } },
  ],
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
  ["/api/says", "/says"],
  ["/api/says-cors", "/says", { cors_origins: ["https://app.example"] }],
  [
    "/api/says-query",
    "/says",
    { credential: { kind: "query", parameter: "key", value: "vendor secret&/1" } },
  ],
];

const call = (where, init = {}) =>
  system.gateway(where, { ...init, headers: { "x-api-key": token, ...init.headers } });

/** The response's status and its envelope, whose form is checked. */
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

test("all four carriers are accepted and removed", async () => {
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

test("a header that carries no token of ours reaches the upstream", async () => {
  const echo = await (
    await call("/api/plain", { headers: { authorization: "Bearer sk-own", "api-key": "own" } })
  ).json();
  assert.equal(echo.headers.authorization, "Bearer sk-own");
  assert.equal(echo.headers["api-key"], "own");
});

test("each kind of credential is attached as documented", async () => {
  const echo = async (where, init) => (await call(where, init)).json();
  assert.equal((await echo("/api/header")).headers["x-vendor-key"], "Key vendor-secret");
  assert.equal((await echo("/api/basic")).headers.authorization, `Basic ${btoa("u:vendor-secret")}`);
  const query = await echo("/api/query?a=1&key=mine&b=2");
  assert.equal(new URLSearchParams(query.query).getAll("key").join(), "vendor secret&");
  assert.equal(new URLSearchParams(query.query).get("a"), "1");
});

test("a stale or foreign key beside a valid bearer token does no harm", async () => {
  const foreign = mintToken(Buffer.alloc(32).toString("base64"));
  for (const stale of ["sk-ant-stale", foreign, "ntk_short"]) {
    const headers = { "x-api-key": stale, authorization: `Bearer ${token}` };
    const response = await system.gateway("/api/echo", { headers });
    assert.equal(response.status, 200, stale);
    const echo = await response.json();
    assert.deepEqual(
      [echo.headers.authorization, echo.headers["x-api-key"]],
      ["Bearer vendor-secret", undefined],
    );
  }
});

test("on a route with a credential no other key is sent on", async () => {
  const own = {
    authorization: "Bearer sk-own",
    "api-key": "own",
    "x-goog-api-key": "own",
    "x-amz-security-token": "own",
  };
  const echo = await (await call("/api/header", { headers: own })).json();
  for (const name of [...Object.keys(own), "x-api-key"]) assert.equal(echo.headers[name], undefined, name);
  assert.equal(echo.headers["x-vendor-key"], "Key vendor-secret");
});

test("our token is never sent on: query, cookie, referer, quotes, encodings", async () => {
  const cookie = `a=1; t=${token}; b=2`;
  const headers = {
    cookie,
    referer: `https://app.example/?key=${token}`,
    "api-key": `"${token}"`,
    authorization: `Basic ${btoa(`u:${token}`)}`,
    "x-own": encodeURIComponent(`"${token}"`),
  };
  const echo = await (
    await call(`/api/cookies-on?a=%20&key=${token}&b=1&k=${token.replace("tk_", "%74k%5F")}`, { headers })
  ).json();
  assert.equal(echo.query, "?a=%20&b=1");
  assert.equal(echo.headers.cookie, "a=1; b=2");
  for (const name of ["referer", "api-key", "authorization", "x-own"])
    assert.equal(echo.headers[name], undefined, name);
  assert.ok(!decodeURIComponent(JSON.stringify(echo)).includes(token));
});

test("a browser's own headers stop at the gateway if it answers for CORS, and are sent on otherwise", async () => {
  const headers = {
    origin: "https://app.example",
    referer: "https://app.example/x",
    "sec-fetch-site": "cross-site",
    "sec-ch-ua": '"X"',
    dnt: "1",
  };
  const kept = (echo) => Object.keys(headers).filter((name) => echo.headers[name] !== undefined);
  assert.deepEqual(kept(await (await call("/api/cors", { headers })).json()), []);
  assert.ok(kept(await (await call("/api/plain", { headers })).json()).includes("origin"));
});

/** An upstream that responds with the headers given as JSON in its path. */
const says = (route, pairs, init) => call(`${route}?h=${encodeURIComponent(JSON.stringify(pairs))}`, init);

test("a header that holds the credential is withheld, an address is sent on without it", async () => {
  const secret = "vendor secret&/1";
  const form = new URLSearchParams([["key", secret]]).toString();
  const response = await says("/api/says-query", [
    [
      "Link",
      `<${system.upstream.url}/says/items?x=1&${form}&page=2>; rel="next", </says?${form}>; rel=first`,
    ],
    ["X-Echo", secret],
    ["Server-Timing", `db;desc="${secret}"`],
    ["Set-Cookie", `key=${encodeURIComponent(secret)}; Path=/`],
    ["Set-Cookie", "fine=1; Path=/"],
    ["X-Fine", "fine"],
  ]);
  const get = (name) => response.headers.get(name);
  assert.deepEqual([response.status, get("x-echo"), get("x-fine")], [200, null, "fine"]);
  assert.deepEqual(response.headers.getSetCookie(), ["fine=1; Path=/api/says-query"]);
  assert.match(get("server-timing"), /^auth;dur/);
  const at = `${system.urls.gateway}/api/says-query`;
  assert.equal(get("link"), `<${at}/items?x=1&page=2>; rel="next", <${at}>; rel=first`);
  assert.match(system.logs(), /headers withheld/);
});

test("an address without a query does not inherit the credential's query", async () => {
  const response = await says("/api/says-query", [["Location", "#done"]]);
  const mapped = new URL(response.headers.get("location"));
  assert.deepEqual(
    [mapped.pathname, [...mapped.searchParams.keys()], mapped.hash],
    ["/api/says-query", ["h"], "#done"],
  );
});

test("response headers are mapped, joined, renamed and dropped as the table says", async () => {
  const response = await says(
    "/api/says",
    [
      ["X-Request-Id", "vendor-1"],
      ["Azure-AsyncOperation", `${system.upstream.url}/says/op/1?v=2`],
      ["Operation-Location", `${system.upstream.url}/says/op/1`],
      ["X-Goog-Upload-URL", `${system.upstream.url}/says/up?id=2`],
      ["Server-Timing", "db;dur=1"],
      ["Vary", "Accept"],
      ["RateLimit", '"vendor";r=3;t=9'],
      ["Alt-Svc", 'h3=":443"'],
      ["Access-Control-Allow-Origin", "*"],
      ["X-RateLimit-Remaining-Tokens", "7"],
      ["Set-Cookie", "__HOST-Http-sid=1; Path=/; Secure; HttpOnly"],
    ],
    { headers: { "x-request-id": "run-12345678" } },
  );
  const get = (name) => response.headers.get(name);
  const at = `${system.urls.gateway}/api/says`;
  assert.deepEqual([get("x-request-id"), get("x-upstream-request-id")], ["run-12345678", "vendor-1"]);
  assert.deepEqual(
    [get("azure-asyncoperation"), get("operation-location")],
    [`${at}/op/1?v=2`, `${at}/op/1`],
  );
  assert.equal(get("x-goog-upload-url"), `${at}/up?id=2`);
  assert.match(get("server-timing"), /^db;dur=1, auth;dur=/);
  assert.deepEqual([get("alt-svc"), get("access-control-allow-origin")], [null, null]);
  assert.deepEqual(
    [get("ratelimit"), get("x-ratelimit-remaining-tokens"), get("vary")],
    ['"vendor";r=3;t=9', "7", "Accept"],
  );
  const [cookie] = response.headers.getSetCookie();
  assert.equal(cookie, "__Secure-__HOST-Http-sid=1; Path=/api/says; Secure; HttpOnly");
  const echo = await (
    await call("/api/cookies-on", { headers: { cookie: "__Secure-__HOST-Http-sid=1" } })
  ).json();
  assert.equal(echo.headers.cookie, "__HOST-Http-sid=1", "the name that the upstream gave");
});

test("an upstream's limits are reported beside ours", async () => {
  const limited = await putToken(system, { limits: { calls_per_minute: 50 } });
  const headers = { "x-api-key": limited };
  const listed = await says("/api/says", [["RateLimit", '"vendor";r=3;t=9']], { headers });
  assert.match(listed.headers.get("ratelimit"), /^"vendor";r=3;t=9, "calls-per-minute";r=\d+;t=\d+$/);
  const older = await says("/api/says", [["RateLimit", "limit=100, remaining=3, reset=9"]], { headers });
  assert.match(older.headers.get("ratelimit"), /^"calls-per-minute";r=\d+;t=\d+$/);
  assert.equal(older.headers.get("x-upstream-ratelimit"), "limit=100, remaining=3, reset=9");
});

test("a browser can read every header of a response", async () => {
  const response = await says(
    "/api/says-cors",
    [
      ["X-Total-Count", "9"],
      ["Link", "</x>; rel=next"],
    ],
    { headers: { origin: "https://app.example" } },
  );
  const exposed = response.headers.get("access-control-expose-headers").split(", ");
  for (const name of ["x-total-count", "link", "x-request-id", "server-timing"])
    assert.ok(exposed.includes(name), name);
});

test("the response to a refused method lists the methods that the route accepts", async () => {
  const response = await call("/api/readonly", { method: "POST" });
  assert.deepEqual([response.status, response.headers.get("allow")], [405, "GET, HEAD"]);
});

test("a gateway behind another gateway is not a loop", async () => {
  const other = await startOnSockets();
  try {
    await putRoutes(other, [["/api/inner", "/echo"]]);
    const inner = await putToken(other);
    await putRoutes(
      system,
      [
        ...ROUTES,
        [
          "/api/outer",
          `${other.urls.gateway}/api/inner`,
          { credential: { kind: "header", name: "x-api-key", value: inner } },
        ],
        [
          "/api/self",
          `${system.urls.gateway}/api/self`,
          { credential: { kind: "header", name: "x-api-key", value: token } },
        ],
      ],
      { version: 2 },
    );
    const response = await eventually(
      async () => {
        const response = await call("/api/outer");
        return response.status !== 404 && response;
      },
      3_000,
      "the route",
    );
    assert.equal(response.status, 200);
    assert.equal((await call("/api/self")).status, 508, "one that leads back is");
  } finally {
    await other.stop();
  }
});

test("cookies are sent on only if the route says so", async () => {
  const echo = await (await call("/api/cookies-on", { headers: { cookie: "a=1" } })).json();
  assert.equal(echo.headers.cookie, "a=1");
});

test("bodies of every method arrive whole", async () => {
  const body = "x".repeat(100_000);
  for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
    const echo = await (
      await call("/api/plain", { method, body, headers: { "content-type": "text/plain" } })
    ).json();
    assert.deepEqual(
      [echo.method, echo.body_bytes, echo.body_sha256],
      [method, body.length, sha256(body)],
      method,
    );
  }
});

test("a redirect that keeps its query does not give the vendor's key to the client", async () => {
  for (const to of [
    "/redirect/next?key=vendor-key&a=1",
    "?key=vendor-key",
    "https://other.example/?key=vendor-key",
  ]) {
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
    table.routes.push({
      ...table.routes[0],
      path: "/api/b",
      url: table.routes[0].url.replace("localhost", "127.0.0.1"),
    });
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

test("the upstream's status and headers arrive unchanged", async () => {
  for (const status of [200, 201, 204, 304, 400, 401, 404, 418, 500, 503]) {
    const response = await call(`/api/status/${status}`);
    assert.equal(response.status, status);
    await response.arrayBuffer();
  }
});

test("the rest of a path survives with //, %2F and a trailing slash", async () => {
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
    "c=3; Expires=Wed, 21 Oct 2037 07:28:00 GMT; Path=/api/cookies",
  ]);
});

test("the gateway's own errors have the strings that workflows rely on", async () => {
  assert.deepEqual(await refusal(await system.gateway("/api/plain")), [
    401,
    "Missing API Key",
    "missing-api-key",
  ]);
  const forged = mintToken(Buffer.alloc(32).toString("base64"));
  for (const bad of ["nonsense", "ntk_short", forged, mintToken(system.secrets.TOKEN_CHECK_KEY)]) {
    const response = await system.gateway("/api/plain", { headers: { "x-api-key": bad } });
    assert.deepEqual(await refusal(response), [401, "Invalid API Key", "invalid-api-key"]);
  }
  assert.deepEqual(await refusal(await call("/nowhere")), [404, "Route Not Found", "route-not-found"]);
  assert.deepEqual(await refusal(await call("/api/readonly", { method: "POST" })), [
    405,
    "Method Not Allowed",
    "method-not-allowed",
  ]);
  assert.deepEqual(await refusal(await call("/api/dead")), [502, "Bad Gateway", "bad-gateway"]);
  assert.deepEqual(await refusal(await call("/api/reset")), [502, "Bad Gateway", "bad-gateway"]);
  assert.deepEqual(await refusal(await call("/api/slow?ms=2000")), [
    504,
    "Gateway Timeout",
    "gateway-timeout",
  ]);
  const loop = await call("/api/plain", { headers: { "x-token-manager-hop": "1" } });
  assert.deepEqual(await refusal(loop), [508, "Loop Detected", "loop-detected"]);
});

test("revoked, disabled and unknown tokens look alike; an expired one does not", async () => {
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
  assert.deepEqual(await use({ scopes: ["GET /api/plain/x"] }), [
    403,
    "Permission Denied",
    "permission-denied",
  ]);
  assert.deepEqual(await use({ ip_allow: ["192.0.2.0/24"] }), [403, "Permission Denied", "ip-not-allowed"]);
});

test("a path that hides .. reaches no upstream", async () => {
  const before = system.upstream.requests.length;
  for (const climb of [
    "/api/plain/..%2Fstatus/200",
    "/api/plain/%2e%2e%2fstatus",
    "/api/plain/..%5cstatus",
  ]) {
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
      assert.deepEqual(await refusal(response), [
        502,
        "Upstream Credential Unavailable",
        "upstream-credential-unavailable",
      ]);
    }
    assert.equal(other.upstream.requests.length, 0);
  } finally {
    await other.stop();
  }
});

test("a preflight from a listed origin is answered at the edge, and errors carry CORS headers too", async () => {
  const preflight = (origin) =>
    system.gateway("/api/cors/x", {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-api-key",
      },
    });
  const allowed = await preflight("https://app.example");
  assert.equal(allowed.status, 204);
  assert.equal(allowed.headers.get("access-control-allow-origin"), "https://app.example");
  assert.equal(allowed.headers.get("access-control-allow-headers"), "x-api-key");
  assert.equal(allowed.headers.get("access-control-allow-credentials"), null);
  const refused = await preflight("https://evil.example");
  assert.deepEqual([refused.status, refused.headers.get("access-control-allow-origin")], [401, null]);
  const error = await system.gateway("/api/cors", { headers: { origin: "https://app.example" } });
  assert.deepEqual(
    [error.status, error.headers.get("access-control-allow-origin")],
    [401, "https://app.example"],
  );
  const off = await call("/api/plain", { headers: { origin: "https://app.example" } });
  assert.equal(off.headers.get("access-control-allow-origin"), null);
});

test("health needs no key, and every response has an id and timings", async () => {
  const health = await system.gateway("/health");
  assert.equal(health.status, 200);
  assert.equal((await health.json()).service, "gateway");
  const response = await call("/api/plain", { headers: { "x-request-id": "run-12345678" } });
  assert.equal(response.headers.get("x-request-id"), "run-12345678");
  assert.match(response.headers.get("server-timing"), /auth;dur=\d+, upstream;dur=\d+/);
});
