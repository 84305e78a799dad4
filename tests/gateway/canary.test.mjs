// No response header holds the route's credential, of whatever kind, in whatever header, in whatever encoding, and nothing
// that the gateway sends or logs holds the token of the call. A vendor
// echoes it; what the client receives is decoded in every way that a client could.
import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import { after, before, test } from "node:test";
import { listen } from "../../local/listen.mjs";
import { keys } from "../support/aws.mjs";
import { eventually, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";
import { deriveToken } from "../support/tokens.mjs";

/** The credentials, and the secrets that must stay with the vendor. */
const SECRET = 'vendor"secret&/+1<x>';
const PLAIN = "sk-vendor-0123456789abcdef";
/** @type {Record<string, [any, string[]]>} */
const KINDS = {
  bearer: [{ kind: "bearer", token: PLAIN }, [PLAIN]],
  header: [{ kind: "header", name: "X-Vendor-Key", prefix: "Key ", value: SECRET }, [SECRET]],
  headers: [
    {
      kind: "headers",
      headers: [
        { name: "X-One", value: SECRET },
        { name: "X-Two", value: PLAIN },
      ],
    },
    [SECRET, PLAIN],
  ],
  basic: [{ kind: "basic", username: "user", password: SECRET }, [SECRET, btoa(`user:${SECRET}`)]],
  query: [{ kind: "query", parameter: "key", value: SECRET }, [SECRET]],
  aws_sigv4: [{ kind: "aws_sigv4", ...keys, service: "s3", session_token: SECRET }, [SECRET]],
  oauth2_client_credentials: [
    { kind: "oauth2_client_credentials", client_id: "client", client_secret: SECRET },
    [SECRET, PLAIN],
  ],
};

const percent = (text) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
const lower = (text) => percent(text).replace(/%../g, (code) => code.toLowerCase());
const each = (text, form) => [...text].map((c) => form(c.charCodeAt(0).toString(16))).join("");
const url64 = (text) => Buffer.from(text).toString("base64url");
const ENCODINGS = {
  plain: (text) => text,
  percent,
  "percent in lower case": lower,
  "percent for each byte": (text) => each(text, (hex) => `%${hex}`),
  "percent twice": (text) => percent(percent(text)),
  "percent three times": (text) => percent(percent(percent(text))),
  form: (text) => new URLSearchParams([["k", text]]).toString(),
  JSON: (text) => JSON.stringify({ key: text }),
  "JSON with escaped slashes": (text) => JSON.stringify({ key: text }).replaceAll("/", "\\/"),
  // As Go escapes `<`, `>` and `&` in every string, and PHP and Rails for HTML.
  "JSON for HTML": (text) =>
    `{"key":${JSON.stringify(text).replace(/[<>&]/g, (c) => `\\u00${each(c, String)}`)}}`,
  "JSON in percent": (text) => percent(JSON.stringify({ key: text })),
  base64: (text) => btoa(text),
  "base64 at offset 1": (text) => btoa(`x${text}x`),
  "base64 at offset 2": (text) => btoa(`xx${text}xx`),
  "base64url of JSON": (text) => url64(JSON.stringify({ a: 1, key: text })),
  "base64 in percent": (text) => percent(btoa(text)),
};

/**
 * @type {[string, (v: string) => string][]}
 * Headers of a vendor's response that hold `v`, which is safe in an address only if it is percent-encoded.
 */
const HEADERS = [
  ["Location", (v) => `/next?key=${v}&page=2`],
  ["Location", (v) => `https://other.example/?key=${v}`],
  ["Location", (v) => `/next#key=${v}`],
  ["Location", (v) => `//user:${v}@other.example/`],
  ["Location", (v) => `/next/${v}/x`],
  ["Location", () => "#x"],
  ["Location", () => "?page=2"],
  ["Location", () => "next"],
  ["Link", (v) => `</items?key=${v}&page=2>; rel="next", </fine>; rel=first`],
  ["Link", (v) => `</fine>; rel=next; title="${v}"`],
  ["Content-Location", (v) => `/items?a=1&key=${v}`],
  ["Content-Location", () => "#x"],
  ["Refresh", (v) => `5; url=/items?key=${v}`],
  ["Set-Cookie", (v) => `key=${v}; Path=/`],
  ["Set-Cookie", (v) => `a=1; Path=/${v}`],
  ["Azure-AsyncOperation", (v) => `/operations/1?key=${v}`],
  ["Operation-Location", (v) => `https://other.example/operations/1?key=${v}`],
  ["X-Goog-Upload-URL", (v) => `https://other.example/up?key=${v}`],
  ["ETag", (v) => `"${v}"`],
  ["Content-Type", (v) => `application/json; profile=${v}`],
  ["Content-Disposition", (v) => `attachment; filename*=UTF-8''${v}`],
  ["WWW-Authenticate", (v) => `Bearer error="${v}"`],
  ["Authentication-Info", (v) => `nextnonce="${v}"`],
  ["Server-Timing", (v) => `db;desc="${v}"`],
  ["Vary", (v) => `Accept, ${v}`],
  ["RateLimit", (v) => `"${v}";r=1;t=1`],
  ["RateLimit-Policy", (v) => `"${v}";q=1;w=1`],
  ["Cache-Control", (v) => `no-store, ext="${v}"`],
  ["Warning", (v) => `199 - "${v}"`],
  ["Via", (v) => `1.1 ${v}`],
  ["Server", (v) => v],
  ["Allow", (v) => `GET, ${v}`],
  ["Access-Control-Expose-Headers", (v) => v],
  ["X-Request-Id", (v) => v],
  ["X-Echo", (v) => v],
];

let system;
let vendor;
let url;
let token;
/** What the vendor says to a request: headers, and the reason in the line of its status. */
/** @type {(incoming: any) => { headers: string[], reason?: string }} */
let say = () => ({ headers: [] });

before(async () => {
  vendor = createServer((incoming, response) => {
    if (incoming.url.startsWith("/token")) {
      incoming.resume();
      const issued = { access_token: PLAIN, token_type: "Bearer", expires_in: 3_600 };
      return response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(issued));
    }
    const { headers, reason = "OK" } = say(incoming);
    response.writeHead(200, reason, [...headers, "X-Fine", "fine"]);
    response.end("{}");
  });
  url = `http://127.0.0.1:${await listen(vendor)}`;
  system = await startOnSockets({ gatewayVars: { LOG_CALLS: "true" } });
  const routes = Object.entries(KINDS).map(([name, [credential]]) => {
    const issuer = name.startsWith("oauth2") && { token_url: `${url}/token` };
    return [`/api/${name}`, url, { credential: { ...credential, ...issuer } }];
  });
  await putRoutes(system, routes);
  token = await putToken(system);
  await eventually(async () => (await call("bearer")).status === 200);
});
after(async () => {
  await system?.stop();
  vendor?.close();
});

/**
 * The response's head as the client's socket received it.
 * @returns {Promise<{ status: number, head: string[] }>}
 */
function call(kind) {
  return new Promise((resolve, reject) => {
    request(`${system.urls.gateway}/api/${kind}/x?a=1`, { headers: { "x-api-key": token } }, (response) => {
      response.resume();
      const { statusCode, statusMessage, rawHeaders } = response;
      response.on("end", () => resolve({ status: statusCode, head: [statusMessage, ...rawHeaders] }));
    })
      .on("error", reject)
      .end();
  });
}

const decodings = [
  (text) => text.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16))),
  (text) => text.replaceAll("+", " "),
  (text) => text.replace(/\\u([0-9a-f]{4})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16))),
  (text) => text.replace(/\\(.)/g, "$1"),
  ...[0, 1, 2, 3].map((from) => (text) => {
    const runs = text.match(/[\w+/-]{8,}/g) ?? [];
    return runs.map((run) => Buffer.from(run.slice(from), "base64").toString("latin1")).join("\n");
  }),
];

/** Every text that can be made of `text` by decoding it up to four times. */
function readings(text, rounds = 4) {
  const known = new Set([text]);
  for (let round = 0; round < rounds; round++)
    for (const one of [...known]) for (const decode of decodings) known.add(decode(one));
  return [...known];
}

/** The parts of the head that hold one of the kind's secrets. */
const leaks = (kind, head, secrets = KINDS[kind][1]) =>
  head.filter((part) => {
    const texts = readings(part);
    return secrets.some((secret) => texts.some((text) => text.includes(secret)));
  });

/**
 * What the vendor may say of `secret`: a name for the test, and the header.
 * @returns {Generator<[string, string[]]>}
 */
function* sayings(secret) {
  for (const [name, form] of HEADERS) yield [`${name}: ${form("…")}`, [name, form(percent(secret))]];
  for (const [encoding, encode] of Object.entries(ENCODINGS)) yield [encoding, ["X-Echo", encode(secret)]];
}

for (const kind of Object.keys(KINDS)) {
  test(`${kind}: the vendor's secret reaches the client in no header`, async () => {
    const found = [];
    for (const secret of KINDS[kind][1]) {
      for (const [what, headers] of sayings(secret)) {
        say = () => ({ headers });
        const { status, head } = await call(kind);
        assert.equal(status, 200, what);
        assert.ok(head.includes("fine"), `${what}: other headers are sent on`);
        found.push(...leaks(kind, head).map((part) => `${what}: ${part}`));
      }
    }
    assert.deepEqual(found, []);
  });
}

test("the vendor's secret reaches the client in no status line", async () => {
  const found = [];
  for (const kind of Object.keys(KINDS)) {
    say = () => ({ headers: [], reason: `key ${percent(SECRET)} ${PLAIN}` });
    const { head } = await call(kind);
    found.push(...leaks(kind, head).map((part) => `${kind}: ${part}`));
  }
  assert.deepEqual(found, []);
});

test("a request that comes back whole in headers gives nothing away, its signature included", async () => {
  /** @type {any} */
  let sent;
  say = ({ url, headers }) => {
    sent = headers;
    const all = JSON.stringify(headers);
    const lines = Object.entries(headers).flatMap(([name, value]) => [`X-Sent-${name}`, value]);
    return { headers: [...lines, "X-Url", url, "X-Url-64", btoa(url), "X-All", all, "X-All-64", btoa(all)] };
  };
  const found = [];
  for (const kind of Object.keys(KINDS)) {
    const { head } = await call(kind);
    const signature = /Signature=(\w+)/.exec(sent.authorization ?? "")?.slice(1) ?? [];
    const parts = leaks(kind, head, [...KINDS[kind][1], ...signature]);
    found.push(...parts.map((part) => `${kind}: ${part}`));
  }
  assert.deepEqual(found, []);
});

test("a token, derived or not, reaches no upstream, no log line and no response, wherever a client puts it", async () => {
  const parent = await putToken(system, { may_derive: true, scopes: ["/api/bearer/*", "/api/plain/*"] });
  const child = deriveToken(parent, system.secrets.DERIVE_KEY);
  await putRoutes(system, [
    ["/api/bearer", url, { credential: KINDS.bearer[0], forward_cookies: true }],
    ["/api/plain", url, { forward_cookies: true }],
  ]);
  const carriers = {
    "x-api-key": (text) => text,
    authorization: (text) => `Bearer ${text}`,
    "api-key": (text) => text,
    "x-goog-api-key": (text) => text,
    "sec-websocket-protocol": (text) => `realtime, openai-insecure-api-key.${text}`,
  };
  /** @type {Record<string, (text: string) => Record<string, string>>} */
  const copies = {
    "a second carrier": (text) => ({ "x-api-key": text, authorization: `Bearer ${text}` }),
    "a header of its own": (text) => ({ "x-own": text }),
    "a cookie": (text) => ({ cookie: `a=1; t=${text}` }),
    "Basic authorization": (text) => ({ authorization: `Basic ${btoa(`u:${text}`)}` }),
    "a referer": (text) => ({ referer: `https://app.example/?key=${percent(text)}` }),
    JSON: (text) => ({ "x-own": JSON.stringify({ key: text }) }),
    base64: (text) => ({ "x-own": url64(`x${text}`) }),
    "the id of the call": (text) => ({ "x-request-id": text.slice(0, 64) }),
  };
  /** @type {any} */
  let sent;
  say = ({ url: path, headers }) => {
    sent = [path, ...Object.entries(headers).flat()].map(String);
    return { headers: ["X-All", JSON.stringify(headers), "X-Url", path] };
  };
  const held = (texts, token) => leaks("", texts, [token, token.slice(0, 40), token.slice(-43)]);
  const found = [];
  const get = (kind, query, headers) =>
    new Promise((resolve, reject) => {
      const path = `/api/${kind}/x?${query}`;
      request(`${system.urls.gateway}${path}`, { headers }, (response) => {
        response.resume();
        response.on("end", () => resolve({ status: response.statusCode, head: response.rawHeaders }));
      })
        .on("error", reject)
        .end();
    });
  await eventually(async () => (await get("plain", "a=1", { "x-api-key": child })).status === 200, 11_000);
  for (const token of [parent, child]) {
    for (const kind of ["bearer", "plain"]) {
      /** @type {any[][]} */
      const calls = [
        ...Object.entries(carriers).map(([name, form]) => [name, "a=1", { [name]: form(token) }]),
        ...Object.entries(copies).map(([name, form]) => [
          name,
          "a=1",
          { "x-api-key": token, ...form(token) },
        ]),
        ["the query", `key=${token}&b=2`, { "x-api-key": token }],
        ["the query in percent", `key=${lower(token)}&b=2`, { "x-api-key": token }],
      ];
      for (const [what, query, headers] of calls) {
        sent = undefined;
        const { status, head } = await get(kind, query, headers);
        assert.equal(status, 200, `${kind}, ${what}`);
        assert.ok(sent, what);
        for (const part of [...held(sent, token), ...held(head, token)])
          found.push(`${kind}, ${what}: ${part}`);
      }
    }
  }
  assert.deepEqual(found, []);
  // Errors and the endpoint that derives, too.
  const exchange = (form) => ({
    method: "POST",
    body: new URLSearchParams({
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
      ...form,
    }),
  });
  const own = [];
  for (const [where, init] of [
    ["/api/nowhere", { headers: { "x-api-key": child } }],
    ["/api/plain/x", { headers: { "x-api-key": `${child}x` } }],
    ["/token", exchange({ subject_token: child })],
    ["/token", exchange({ subject_token: parent, scope: `${child}:x` })],
    ["/token", exchange({ subject_token: parent, ip: child })],
  ]) {
    const response = await system.gateway(where, init);
    assert.ok(response.status >= 400);
    own.push(await response.text(), ...[...response.headers].flat());
  }
  assert.deepEqual(held(own, child), []);
  await eventually(() => system.logs().includes("/api/nowhere"));
  assert.ok(!system.logs().includes(parent) && !system.logs().includes(child));
  assert.deepEqual(held(system.logs().split("\n"), child), []);
});
