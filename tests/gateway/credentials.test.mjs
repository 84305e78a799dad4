// Credentials as the upstream receives them: several headers, fetched bearer tokens, and AWS signatures
// compared with those of another implementation.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { request as httpRequest } from "node:http";
import { after, before, test } from "node:test";
import { byAws4fetch, byBotocore, keys } from "../support/aws.mjs";
import { eventually, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";

let system;
let token;
const aws = (service, more = {}) => ({ credential: { kind: "aws_sigv4", ...keys, service, ...more } });
const oauth = (query, more = {}) => ({
  credential: {
    kind: "oauth2_client_credentials",
    token_url: `${system.upstream.url}/token`,
    client_id: "client",
    client_secret: "s3cret",
    ...more,
  },
});

before(async () => {
  system = await startOnSockets();
  const headers = [
    { name: "X-Account", value: "a1" },
    { name: "X-Key", value: "k1" },
  ];
  await putRoutes(system, [
    ["/api/headers", "/echo", { credential: { kind: "headers", headers } }],
    ["/api/oauth", "/protected", oauth("", { scope: "read" })],
    ["/api/oauth-body", "/protected", oauth("", { scope: "body", client_auth: "body" })],
    ["/api/oauth-bad", "/protected", oauth("", { client_secret: "wrong" })],
    ["/api/oauth-short", "/echo", oauth("", { token_url: `${system.upstream.url}/token/slow/4` })],
    ["/api/oauth-endless", "/echo", oauth("", { token_url: `${system.upstream.url}/token/endless` })],
    ["/api/s3", "/echo", aws("s3", { session_token: "session/of+aws" })],
    ["/api/s3-plain", "/echo", aws("s3")],
    ["/api/lambda", "/echo", aws("lambda")],
    ["/api/es", "/echo", aws("es")],
    ["/api/fo", "/echo", { settings: { failover: { route_id: "rte__api_headers", any_method: true } } }],
  ]);
  token = await putToken(system);
  await eventually(async () => (await call("/api/headers")).status === 200);
});
after(() => system?.stop());

const call = async (where, init = {}) => {
  const response = await system.gateway(where, { ...init, headers: { "x-api-key": token, ...init.headers } });
  return { status: response.status, body: await response.json() };
};
const tokensIssued = () => system.upstream.requests.filter((r) => r.url.startsWith("/token")).length;

test("several headers are set, whatever the client sent under their names", async () => {
  const { body } = await call("/api/headers", { headers: { "x-account": "mine" } });
  assert.deepEqual([body.headers["x-account"], body.headers["x-key"]], ["a1", "k1"]);
});

test("a bearer token is fetched once for any number of simultaneous calls, and again when the upstream refuses it", async () => {
  const before = tokensIssued();
  const answers = await Promise.all(Array.from({ length: 20 }, () => call("/api/oauth")));
  assert.deepEqual([...new Set(answers.map((a) => a.status))], [200]);
  assert.equal(tokensIssued() - before, 1);
  assert.match(answers[0].body.headers.authorization, /^Bearer at_\d+_read$/);
  await fetch(`${system.upstream.url}/withdraw`);
  assert.equal((await call("/api/oauth")).status, 200, "one retry with a new token");
  assert.equal(tokensIssued() - before, 2);
  await fetch(`${system.upstream.url}/withdraw`);
  const posted = await call("/api/oauth", { method: "POST", body: "once" });
  assert.equal(posted.status, 401, "a body that was streamed is not sent twice");
  assert.equal(
    (await call("/api/oauth", { method: "POST", body: "again" })).body.body,
    "again",
    "the next call is fine",
  );
});

test("a client can be identified in the form, and if it is refused nothing is sent on", async () => {
  assert.equal((await call("/api/oauth-body")).status, 200);
  const before = system.upstream.requests.length;
  const refused = await call("/api/oauth-bad");
  assert.deepEqual([refused.status, refused.body.code], [502, "upstream-credential-unavailable"]);
  assert.ok(system.upstream.requests.slice(before).every((r) => r.url.startsWith("/token")));
});

test("S3 calls are signed as another implementation signs them, bodies streamed and unsigned", async () => {
  const paths = [
    "/",
    "/a%20b/c%2Bd.txt",
    "/%E6%AA%94.txt?b=2&a=1&versionId=",
    "/x?list-type=2&prefix=a%2Fb",
    "/a//b/",
    "/a+b.txt",
    "/x?a=2&a=1",
    "/x?=1&b=2&&c",
    "/x?a=b+c%2Bd",
    "/~-._!*'();:@&=$,",
  ];
  for (const where of paths) {
    const { status } = await call(`/api/s3${where}`, {
      headers: { authorization: "AWS4-HMAC-SHA256 mine", "x-amz-date": "mine", "x-amz-acl": "private" },
    });
    assert.equal(status, 200);
    const received = system.upstream.requests.at(-1);
    assert.equal(received.headers.authorization, await byAws4fetch(received, "s3"), where);
    assert.equal(received.headers["x-amz-acl"], "private");
    assert.equal(received.headers["x-amz-security-token"], "session/of+aws");
  }
  await call("/api/s3/up", { method: "PUT", body: "streamed", headers: { "content-type": "text/plain" } });
  const put = system.upstream.requests.at(-1);
  assert.deepEqual([put.body, put.headers["x-amz-content-sha256"]], ["streamed", "UNSIGNED-PAYLOAD"]);
  assert.equal(put.headers.authorization, await byAws4fetch(put, "s3"));
});

test("for other services the signature covers the body, and a body that cannot be covered is a clear error", async () => {
  const body = JSON.stringify({ name: "測試" });
  const { status } = await call("/api/lambda/2015-03-31/functions/f%20x/invocations?b=2&a=1&a=0", {
    method: "POST",
    body,
  });
  assert.equal(status, 200);
  const received = system.upstream.requests.at(-1);
  assert.equal(received.body, body);
  assert.equal(received.headers.authorization, await byAws4fetch(received, "lambda", body));
  const stream = new ReadableStream({
    start: (c) => (c.enqueue(new TextEncoder().encode("chunk")), c.close()),
  });
  const refused = await call("/api/lambda/x", { method: "POST", body: stream, duplex: "half" });
  assert.deepEqual([refused.status, refused.body.code], [413, "body-not-signable"]);
});

test("a short-lived bearer token is fetched once for simultaneous calls, and the next one before it expires", async () => {
  const before = tokensIssued();
  const answers = await Promise.all(Array.from({ length: 12 }, () => call("/api/oauth-short")));
  assert.deepEqual([...new Set(answers.map((a) => a.status))], [200]);
  assert.equal(tokensIssued() - before, 1);
  const started = Date.now();
  let slowest = 0;
  while (Date.now() - started < 7_000) {
    const asked = Date.now();
    assert.equal((await call("/api/oauth-short")).status, 200);
    slowest = Math.max(slowest, Date.now() - asked);
    await sleep(200);
  }
  const fetched = tokensIssued() - before;
  assert.ok(fetched >= 3 && fetched <= 6, `${fetched} tokens of 4 s in 7 s`);
  assert.ok(slowest < 700, `${slowest} ms: nobody waits for the slow server of tokens`);
});

test("a token server's response is read no further than the limit", async () => {
  const asked = Date.now();
  const refused = await call("/api/oauth-endless");
  assert.deepEqual([refused.status, refused.body.code], [502, "upstream-credential-unavailable"]);
  assert.ok(Date.now() - asked < 5_000);
});

test("signatures equal those of botocore for every request that it can send", async () => {
  const tried = [
    ["s3", "/"],
    ["s3", "/a%20b/c%2Bd%3D%26%24%40%21%2A%27%28%29.txt?versionId=1&x-id=GetObject"],
    ["s3", "/%E6%AA%94//%C3%A9.txt?list-type=2&prefix=a%2Fb%20c&uploads="],
    ["lambda", "/functions/f%20x/invocations?b=2&a=1&a=0", "{}"],
    ["es", "/model/eu.anthropic.claude-v1%3A0/converse", '{"a":"測試"}'],
  ];
  const calls = [];
  for (const [service, where, body] of tried) {
    const { status } = await call(`/api/${service === "s3" ? "s3-plain" : service}${where}`, {
      method: body ? "POST" : "GET",
      body,
    });
    assert.equal(status, 200);
    calls.push({ received: system.upstream.requests.at(-1), service, body });
  }
  const signatures = calls.map(({ received }) => received.headers.authorization.split("Signature=")[1]);
  assert.deepEqual(signatures, await byBotocore(calls));
});

test("a client's own signature reaches no vendor, neither in headers nor as a presigned URL", async () => {
  const presigned =
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=OWN%2F20260101&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Security-Token=own&X-Amz-Signature=own";
  const own = {
    authorization: "AWS4-HMAC-SHA256 Credential=OWN/x",
    "x-amz-security-token": "own",
    "x-amz-s3session-token": "own",
    "x-amz-content-sha256": "own",
  };
  for (const route of ["/api/s3-plain", "/api/lambda"]) {
    await call(`${route}/k?versionId=1&${presigned}`, { headers: own });
    const received = system.upstream.requests.at(-1);
    assert.equal(received.url.split("?")[1], "versionId=1");
    assert.ok(!/own|OWN/.test(JSON.stringify(received)), JSON.stringify(received));
    assert.equal(
      received.headers.authorization,
      await byAws4fetch(received, route.includes("s3") ? "s3" : "lambda"),
    );
  }
});

test("a token can be the access key id of an AWS client", async () => {
  const authorization = `AWS4-HMAC-SHA256 Credential=${token}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=ab`;
  const response = await system.gateway("/api/s3-plain/k", { headers: { authorization } });
  assert.equal(response.status, 200);
  assert.ok(!JSON.stringify(system.upstream.requests.at(-1)).includes(token));
});

test("a digest that the client made of its body is signed, so that S3 compares it", async () => {
  const digest = createHash("sha256").update("covered").digest("hex");
  await call("/api/s3-plain/up", {
    method: "PUT",
    body: "covered",
    headers: { "x-amz-content-sha256": digest },
  });
  const received = system.upstream.requests.at(-1);
  assert.equal(received.headers["x-amz-content-sha256"], digest);
  assert.equal(received.headers.authorization, await byAws4fetch(received, "s3"));
});

/** A call with a body whatever its method, which `fetch` refuses. */
function raw(method, where, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      `${system.urls.gateway}${where}`,
      { method, headers: { "x-api-key": token, "content-length": Buffer.byteLength(body), ...headers } },
      async (response) => {
        resolve({ status: response.statusCode, body: Buffer.concat(await response.toArray()).toString() });
      },
    );
    request.on("error", reject).end(body);
  });
}

test("a GET or HEAD with a body, or with Content-Length: 0, is sent on wherever the body is held", async () => {
  const body = JSON.stringify({ query: { match_all: {} } });
  for (const [route, isSigned] of [
    ["/api/es", true],
    ["/api/fo", false],
    ["/api/s3-plain", false],
  ]) {
    for (const [method, sent] of [
      ["GET", body],
      ["HEAD", body],
      ["GET", ""],
      ["HEAD", ""],
      ["POST", ""],
      ["DELETE", body],
    ]) {
      const { status } = await raw(method, `${route}/_search`, sent);
      const received = system.upstream.requests.at(-1);
      assert.deepEqual(
        [status, received.method, received.body],
        [200, method, sent],
        `${method} ${route}, ${sent.length} bytes`,
      );
      if (isSigned)
        assert.equal(
          received.headers.authorization.split("Signature=")[1],
          (await byBotocore([{ received, service: "es", body: sent }]))[0],
        );
    }
  }
});

/** `data` in signed chunks of these sizes, with a trailer if there is one. */
function chunked(data, sizes, trailer) {
  const signature = `;chunk-signature=${"0".repeat(64)}\r\n`;
  const parts = [];
  let rest = Buffer.from(data);
  for (const size of [...sizes, rest.length]) {
    const piece = rest.subarray(0, size);
    rest = rest.subarray(size);
    if (piece.length > 0) parts.push(`${piece.length.toString(16)}${signature}`, piece, "\r\n");
  }
  const tail = trailer ? `${trailer}\r\nx-amz-trailer-signature:${"0".repeat(64)}\r\n` : "";
  return Buffer.concat([...parts, `0${signature}${tail}\r\n`].map((part) => Buffer.from(part)));
}

/** A body of pieces of random sizes that announces no length. */
const pieces = (bytes) =>
  new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length;) {
        const size = 1 + Math.floor(Math.random() * 3000);
        controller.enqueue(new Uint8Array(bytes.subarray(at, at + size)));
        at += size;
      }
      controller.close();
    },
  });

const data = "x\r\n0\r\n\r\n".repeat(2000);
const framed = (length, more = {}) => ({
  "content-encoding": "gzip,aws-chunked",
  "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
  "x-amz-decoded-content-length": String(length),
  ...more,
});
const put = async (route, body, headers) =>
  call(`${route}/up`, { method: "PUT", body, duplex: "half", headers });

test("an upload in signed chunks arrives as the data alone, whatever the sizes of its chunks and packets", async () => {
  for (const body of /** @type {any[]} */ ([
    chunked(data, [1, 2, 3, 4096]),
    pieces(chunked(data, [8192])),
    chunked("", []),
  ])) {
    const own = body.length === chunked("", []).length ? "" : data;
    assert.equal((await put("/api/s3-plain", body, framed(own.length))).status, 200);
    const received = system.upstream.requests.at(-1);
    assert.equal(received.body, own);
    assert.equal(received.headers["content-length"], String(own.length));
    assert.equal(received.headers["content-encoding"], "gzip");
    assert.equal(received.headers["x-amz-content-sha256"], "UNSIGNED-PAYLOAD");
    assert.equal(received.headers["x-amz-decoded-content-length"], undefined);
    assert.equal(received.headers.authorization, await byAws4fetch(received, "s3"));
  }
});

test("an upload in signed chunks with a trailer arrives in unsigned chunks, with the trailer", async () => {
  const trailer = "x-amz-checksum-crc32:AAAAAA==";
  const headers = framed(data.length, {
    "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "x-amz-trailer": "x-amz-checksum-crc32",
  });
  assert.equal((await put("/api/s3-plain", pieces(chunked(data, [4096], trailer)), headers)).status, 200);
  const received = system.upstream.requests.at(-1);
  assert.equal(
    received.body,
    `1000\r\n${data.slice(0, 4096)}\r\n${(data.length - 4096).toString(16)}\r\n${data.slice(4096)}\r\n0\r\n${trailer}\r\n\r\n`,
  );
  assert.equal(received.headers["x-amz-content-sha256"], "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
  assert.equal(received.headers["content-encoding"], "gzip,aws-chunked");
  assert.equal(received.headers.authorization, await byAws4fetch(received, "s3"));
});

test("a service without chunks gets the data alone, signed; a route that signs nothing passes the body as it came", async () => {
  const body = chunked(data, [4096]);
  await put("/api/lambda", body, framed(data.length));
  const received = system.upstream.requests.at(-1);
  assert.equal(received.body, data);
  assert.equal(received.headers.authorization, await byAws4fetch(received, "lambda", data));
  await put("/api/headers", body, framed(data.length));
  const untouched = system.upstream.requests.at(-1);
  assert.equal(untouched.body, body.toString());
  assert.equal(untouched.headers["content-encoding"], "gzip,aws-chunked");
});

test("an upload that breaks its framing is refused with the reason, and the upstream is not blamed", async () => {
  /** @type {[Buffer, Record<string, string>][]} */
  const broken = [
    [Buffer.from("hello"), framed(5)],
    [chunked(data, []).subarray(0, 1000), framed(data.length)],
    [chunked(data, []), framed(data.length - 1)],
    [chunked(data, []), framed(data.length + 1)],
    [chunked(data, []), { "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" }],
  ];
  for (const route of ["/api/s3-plain", "/api/lambda"]) {
    for (const [body, headers] of broken) {
      const { status, body: answer } = await put(route, body, headers);
      assert.deepEqual([status, answer.code], [400, "bad-chunks"], `${route}: ${body.subarray(0, 20)}`);
    }
  }
});
