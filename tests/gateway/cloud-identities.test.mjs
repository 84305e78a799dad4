// Credentials by which a vendor's cloud gives out short-lived tokens. Google's assertions are checked by `jose`.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";
import { makeAccount, startGoogle } from "../support/service-account.mjs";

let system;
let token;
let google;
let account;

before(async () => {
  google = await startGoogle();
  account = google.account();
  system = await startOnSockets();
  const by = (key_file, more = {}) => ({ credential: { kind: "google_service_account", key_file, ...more } });
  const broken = JSON.parse(account.key_file);
  broken.private_key = broken.private_key.replace(/\n.{40}/g, "\n");
  await putRoutes(system, [
    ["/api/vertex", google.url, by(account.key_file)],
    ["/api/mail", google.url, by(account.key_file, { scope: "mail.read mail.send", subject: "a@b.example" })],
    ["/api/short", google.url, { ...by(google.account().key_file), settings: { keep_errors: true } }],
    ["/api/unknown", google.url, by(makeAccount(`${google.url}/token`).key_file)],
    ["/api/broken", google.url, by(JSON.stringify(broken))],
    ["/api/away", google.url, by(makeAccount("http://127.0.0.1:9/token").key_file)],
    ["/api/plain", "/echo"],
  ]);
  token = await putToken(system);
  await eventually(async () => (await call("/api/plain")).status === 200);
});
after(async () => {
  await system?.stop();
  google?.close();
});

const call = async (where, init = {}) => {
  const response = await system.gateway(where, { ...init, headers: { "x-api-key": token, ...init.headers } });
  return { status: response.status, headers: response.headers, body: await response.json() };
};

test("a service account's token is fetched once for simultaneous calls, with an assertion that jose accepts", async () => {
  const answers = await Promise.all(Array.from({ length: 20 }, () => call("/api/vertex/v1/x?a=1")));
  assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [200]);
  assert.equal(google.asked.length, 1);
  const [{ payload, protectedHeader, form }] = google.asked;
  assert.deepEqual([...form.keys()], ["grant_type", "assertion"]);
  assert.deepEqual(protectedHeader, { alg: "RS256", typ: "JWT", kid: account.id });
  const { iat, exp, ...claims } = payload;
  assert.deepEqual(claims, {
    iss: account.email,
    scope: "https://www.googleapis.com/auth/cloud-platform",
    aud: `${google.url}/token`,
  });
  assert.equal(exp - iat, 3_600);
  const { url, headers } = google.called.at(-1);
  assert.deepEqual([url, headers["x-api-key"]], ["/v1/x?a=1", undefined]);
  assert.equal(answers[0].headers.get("x-echo"), null, "a header that holds the token is withheld");
});

test("scope and person are asked for, and are another token", async () => {
  const before = google.asked.length;
  assert.equal((await call("/api/mail")).status, 200);
  assert.equal(google.asked.length, before + 1);
  const { payload } = google.asked.at(-1);
  assert.deepEqual([payload.scope, payload.sub], ["mail.read mail.send", "a@b.example"]);
});

test("a token that the upstream refuses is fetched again, and the call sent again if its body can be", async () => {
  assert.equal((await call("/api/vertex")).status, 200);
  google.withdraw();
  const before = google.asked.length;
  const posted = await call("/api/vertex", { method: "POST", body: "once" });
  assert.equal(posted.status, 401, "a body that was streamed is not sent twice");
  assert.equal((await call("/api/vertex", { method: "POST", body: "again" })).body.body, "again");
  assert.equal(google.asked.length, before + 1);
  google.withdraw();
  assert.equal((await call("/api/vertex")).status, 200, "one retry with a new token");
  assert.equal(google.asked.length, before + 2);
});

test("the next token is fetched before the current one ends", async () => {
  google.life_s = 4;
  const before = google.asked.length;
  const started = Date.now();
  let calls = 0;
  for (; Date.now() - started < 7_000; calls += 1) assert.equal((await call("/api/short")).status, 200);
  const fetched = google.asked.length - before;
  assert.ok(
    fetched >= 3 && fetched <= 10 && calls > 2 * fetched,
    `${fetched} tokens of 3 s in 7 s, ${calls} calls`,
  );
  google.life_s = 3_600;
});

test("without a token nothing is sent on, and nobody learns of the key", async () => {
  const before = google.called.length;
  const asks = { "/api/unknown": 1, "/api/broken": 0, "/api/away": 0 };
  for (const [where, times] of Object.entries(asks)) {
    const asked = google.asked.length;
    const refused = await call(where);
    assert.deepEqual([refused.status, refused.body.code], [502, "upstream-credential-unavailable"], where);
    assert.equal(google.asked.length - asked, times, where);
  }
  assert.match(google.asked.at(-1).refused, /JWSInvalid|key|Key/, "jose knows no such key");
  assert.equal(google.called.length, before);
  await eventually(() => system.logs().includes("the token server responded with status 400"));
  await eventually(() => system.logs().includes("the key of the service account cannot be used"));
  assert.ok(!/PRIVATE KEY|eyJ[\w-]+\.|ya29\.|gserviceaccount/.test(system.logs()));
});

test("a vendor's error that repeats the token is kept without it", async () => {
  assert.equal((await call("/api/short")).status, 200);
  google.withdraw();
  const refused = await call("/api/short", {
    method: "POST",
    body: "x",
    headers: { "x-request-id": "repeats-the-token" },
  });
  assert.match(refused.body.error, /^Bearer ya29\./);
  const [listed] = await eventually(async () => {
    const found = await system.usage.events({ request_id: "repeats-the-token" });
    return found.length > 0 && found;
  }, 15_000);
  const [one] = await system.usage.events({ id: listed.id, from: `${listed.at}`, to: `${listed.at + 1}` });
  assert.deepEqual(one.error, { body: '{"error":"Bearer [removed]"}' });
});
