// What is attached to a call, seen at the upstream: several headers, fetched bearer tokens, AWS
// signatures held against another implementation of them.
import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, test } from "node:test";
import { AwsV4Signer } from "aws4fetch";
import { eventually, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";

let system;
let token;
const keys = { access_key_id: "AKIDEXAMPLE", secret_access_key: "s3cret/of+aws", region: "eu-west-1" };
const aws = (service, more = {}) => ({ credential: { kind: "aws_sigv4", ...keys, service, ...more } });
const oauth = (query, more = {}) => ({
  credential: { kind: "oauth2_client_credentials", token_url: `${system.upstream.url}/token`, client_id: "client", client_secret: "s3cret", ...more },
});

before(async () => {
  system = await startOnSockets();
  const headers = [{ name: "X-Account", value: "a1" }, { name: "X-Key", value: "k1" }];
  await putRoutes(system, [
    ["/api/headers", "/echo", { credential: { kind: "headers", headers } }],
    ["/api/oauth", "/protected", oauth("", { scope: "read" })],
    ["/api/oauth-body", "/protected", oauth("", { scope: "body", client_auth: "body" })],
    ["/api/oauth-bad", "/protected", oauth("", { client_secret: "wrong" })],
    ["/api/oauth-short", "/echo", oauth("", { token_url: `${system.upstream.url}/token/slow/4` })],
    ["/api/oauth-endless", "/echo", oauth("", { token_url: `${system.upstream.url}/token/endless` })],
    ["/api/s3", "/echo", aws("s3", { session_token: "session/of+aws" })],
    ["/api/lambda", "/echo", aws("lambda")],
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

test("a bearer token is fetched once, whatever comes at once, and again when the upstream refuses it", async () => {
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
  assert.equal((await call("/api/oauth", { method: "POST", body: "again" })).body.body, "again", "the next call is fine");
});

test("a client may be known by the form, and one that is refused sends nothing on", async () => {
  assert.equal((await call("/api/oauth-body")).status, 200);
  const before = system.upstream.requests.length;
  const refused = await call("/api/oauth-bad");
  assert.deepEqual([refused.status, refused.body.code], [502, "upstream-credential-unavailable"]);
  assert.ok(system.upstream.requests.slice(before).every((r) => r.url.startsWith("/token")));
});

/** The signature that another implementation makes of what the upstream received. */
async function expected(received, service, body) {
  const at = received.headers["x-amz-date"];
  const signed = /SignedHeaders=([^,]+)/.exec(received.headers.authorization)[1].split(";");
  const headers = Object.fromEntries(signed.filter((name) => name !== "host").map((name) => [name, received.headers[name]]));
  const signer = new AwsV4Signer({
    method: received.method,
    url: `http://${received.headers.host}${received.url}`,
    headers,
    body,
    accessKeyId: keys.access_key_id,
    secretAccessKey: keys.secret_access_key,
    sessionToken: received.headers["x-amz-security-token"],
    service,
    region: keys.region,
    datetime: at,
    allHeaders: true,
  });
  return (await signer.sign()).headers.get("authorization");
}

test("S3 calls are signed as another implementation signs them, bodies streamed and unsigned", async () => {
  const paths = ["/", "/a%20b/c%2Bd.txt", "/%E6%AA%94.txt?b=2&a=1&versionId=", "/x?list-type=2&prefix=a%2Fb"];
  for (const where of paths) {
    const { status } = await call(`/api/s3${where}`, { headers: { authorization: "AWS4-HMAC-SHA256 mine", "x-amz-date": "mine", "x-amz-acl": "private" } });
    assert.equal(status, 200);
    const received = system.upstream.requests.at(-1);
    assert.equal(received.headers.authorization, await expected(received, "s3"), where);
    assert.equal(received.headers["x-amz-acl"], "private");
    assert.equal(received.headers["x-amz-security-token"], "session/of+aws");
  }
  await call("/api/s3/up", { method: "PUT", body: "streamed", headers: { "content-type": "text/plain" } });
  const put = system.upstream.requests.at(-1);
  assert.deepEqual([put.body, put.headers["x-amz-content-sha256"]], ["streamed", "UNSIGNED-PAYLOAD"]);
  assert.equal(put.headers.authorization, await expected(put, "s3"));
});

test("other services have their bodies covered, and a body that cannot be is a clear error", async () => {
  const body = JSON.stringify({ name: "測試" });
  const { status } = await call("/api/lambda/2015-03-31/functions/f%20x/invocations?b=2&a=1&a=0", { method: "POST", body });
  assert.equal(status, 200);
  const received = system.upstream.requests.at(-1);
  assert.equal(received.body, body);
  assert.equal(received.headers.authorization, await expected(received, "lambda", body));
  const stream = new ReadableStream({ start: (c) => (c.enqueue(new TextEncoder().encode("chunk")), c.close()) });
  const refused = await call("/api/lambda/x", { method: "POST", body: stream, duplex: "half" });
  assert.deepEqual([refused.status, refused.body.code], [413, "body-not-signable"]);
});

test("bearer tokens of short life are fetched once for calls at once, and the next one ahead of the end", async () => {
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

test("the answer of a server of tokens is read no further than it may be long", async () => {
  const asked = Date.now();
  const refused = await call("/api/oauth-endless");
  assert.deepEqual([refused.status, refused.body.code], [502, "upstream-credential-unavailable"]);
  assert.ok(Date.now() - asked < 5_000);
});

test("a GET with a body is signed and sent", async () => {
  const received = await new Promise((resolve, reject) => {
    const body = '{"query":"a"}';
    const outgoing = request(`${system.urls.gateway}/api/lambda/_search`, { headers: { "x-api-key": token, "content-length": body.length } }, async (response) => {
      const chunks = [];
      for await (const chunk of response) chunks.push(chunk);
      resolve({ status: response.statusCode, body: JSON.parse(Buffer.concat(chunks)) });
    });
    outgoing.on("error", reject).end(body);
  });
  assert.deepEqual([received.status, received.body.body], [200, '{"query":"a"}']);
  const sent = system.upstream.requests.at(-1);
  assert.equal(sent.headers.authorization, await expected(sent, "lambda", '{"query":"a"}'));
});
