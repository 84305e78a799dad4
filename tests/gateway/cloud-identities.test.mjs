// Credentials by which a vendor's cloud gives out short-lived tokens or keys. Google's assertions are checked by `jose`,
// AWS's signatures by aws4fetch and botocore.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { byBotocore } from "../support/aws.mjs";
import { as, eventually, putRoutes, putToken, startOnSockets } from "../support/harness.mjs";
import { makeAccount, startGoogle } from "../support/service-account.mjs";
import { EXTERNAL_ID, ROLE, SHARED, SHORT, startAws } from "../support/sts.mjs";

let system;
let token;
let google;
let account;
let aws;

before(async () => {
  [google, aws] = await Promise.all([startGoogle(), startAws()]);
  account = google.account();
  system = await startOnSockets();
  // As the admin API seals it.
  const assuming = (service, role = {}) => ({
    credential: { ...aws.assuming(service, role), critical: ["role"] },
  });
  const pool = {
    kind: "pool",
    members: [
      { name: "unknown", ...assuming("s3", { arn: "arn:aws:iam::123456789012:role/other" }) },
      { name: "known", ...assuming("s3", { arn: SHARED, external_id: EXTERNAL_ID }) },
    ],
  };
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
    ["/api/role/s3", `${aws.url}/s3`, assuming("s3")],
    ["/api/role/lambda", `${aws.url}/lambda`, assuming("lambda")],
    [
      "/api/role/shared",
      `${aws.url}/s3`,
      assuming("s3", { arn: SHARED, external_id: EXTERNAL_ID, session_name: "n8n" }),
    ],
    ["/api/role/short", `${aws.url}/s3`, assuming("s3", { arn: SHORT })],
    ["/api/role/stranger", `${aws.url}/s3`, assuming("s3", { arn: SHARED })],
    ["/api/role/unknown", `${aws.url}/s3`, assuming("s3", { arn: "arn:aws:iam::123456789012:role/unknown" })],
    ["/api/role/odd", `${aws.url}/s3`, assuming("s3", { sts_url: `${aws.url}/odd` })],
    ["/api/role/away", `${aws.url}/s3`, assuming("s3", { sts_url: "http://127.0.0.1:9/" })],
    ["/api/role/pool", `${aws.url}/s3`, { credential: pool }],
    [
      "/api/role/newer",
      `${aws.url}/s3`,
      { credential: { ...assuming("s3").credential, newer: 1, critical: ["newer"] } },
    ],
  ]);
  token = await putToken(system);
  await eventually(async () => (await call("/api/plain")).status === 200);
});
after(async () => {
  await system?.stop();
  google?.close();
  aws?.close();
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

test("a role is assumed once for simultaneous calls, and botocore makes the same signatures", async () => {
  const sent = [
    ["/api/role/s3/a%20b/c.txt?versionId=1&x-id=GetObject"],
    ["/api/role/s3/up", { method: "PUT", body: "streamed" }],
    ["/api/role/lambda/functions/f/invocations?b=2&a=1", { method: "POST", body: '{"a":"測試"}' }],
  ];
  const answers = await Promise.all(Array.from({ length: 21 }, (_, i) => call(...sent[i % sent.length])));
  assert.deepEqual([...new Set(answers.map((answer) => answer.status))], [200]);
  assert.equal(aws.asked.length, 1, "for both services");
  const [{ form, received }] = aws.asked;
  assert.deepEqual(Object.fromEntries(form), {
    Action: "AssumeRole",
    Version: "2011-06-15",
    RoleArn: ROLE,
    RoleSessionName: "token-manager",
  });
  assert.equal(received.headers["x-amz-security-token"], undefined);
  assert.deepEqual(signaturesOf(aws.asked), await byBotocore(aws.asked));
  assert.equal(aws.called.length, 21);
  assert.deepEqual(signaturesOf(aws.called), await byBotocore(aws.called, aws.called[0].by));
  const [{ headers }] = answers;
  assert.deepEqual(
    ["x-token", "x-secret", "x-plain"].map((name) => headers.get(name)),
    [null, null, "kept"],
    "headers that hold a key of the session are withheld",
  );
});

const signaturesOf = (calls) =>
  calls.map(({ received }) => received.headers.authorization.split("Signature=")[1]);

test("external id and name of the session are told to STS", async () => {
  const before = aws.asked.length;
  assert.equal((await call("/api/role/shared")).status, 200);
  const asked = aws.asked.slice(before);
  assert.deepEqual(
    asked.map(({ form }) => [form.get("RoleArn"), form.get("ExternalId"), form.get("RoleSessionName")]),
    [[SHARED, EXTERNAL_ID, "n8n"]],
  );
  assert.deepEqual(signaturesOf(asked), await byBotocore(asked));
});

test("the next session is fetched before the current one ends, and no call is signed with an old one", async () => {
  const [asked, refused] = [aws.asked.length, aws.refused.length];
  const started = Date.now();
  let calls = 0;
  for (; Date.now() - started < 7_000; calls += 1) assert.equal((await call("/api/role/short")).status, 200);
  const fetched = aws.asked.length - asked;
  assert.ok(
    fetched >= 3 && fetched <= 10 && calls > 2 * fetched,
    `${fetched} sessions of 4 s in 7 s, ${calls} calls`,
  );
  assert.equal(aws.refused.length, refused);
});

test("without a session nothing is sent on, and nobody learns of the keys", async () => {
  const before = aws.called.length + aws.refused.length;
  const asks = { stranger: 1, unknown: 1, odd: 0, away: 0, newer: 0 };
  for (const [name, times] of Object.entries(asks)) {
    const asked = aws.asked.length;
    const refused = await call(`/api/role/${name}`);
    assert.deepEqual([refused.status, refused.body.code], [502, "upstream-credential-unavailable"], name);
    assert.equal(aws.asked.length - asked, times, name);
  }
  assert.equal(aws.called.length + aws.refused.length, before);
  for (const why of ["the token server responded with status 403", "holds no token", "cannot be reached"])
    await eventually(() => system.logs().includes(why), 10_000, why);
  const secrets = aws.sessions.flatMap(({ id, secret, token }) => [id, secret, token]);
  for (const secret of ["s3cret", "AKIDEXAMPLE", "AssumeRole", ...secrets])
    assert.ok(!system.logs().includes(secret), secret);
});

test("a pool goes on with the next role if one cannot be assumed", async () => {
  const [asked, called] = [aws.asked.length, aws.called.length];
  assert.equal((await call("/api/role/pool", { method: "PUT", body: "whole" })).body.body, "whole");
  assert.equal(aws.asked.length - asked, 2);
  assert.equal((await call("/api/role/pool")).status, 200);
  assert.equal(aws.asked.length - asked, 2, "the first rests, the second has a session");
  assert.equal(aws.called.length - called, 2);
});

test("a pool of roles that the admin API has sealed is tested by it and serves", async () => {
  const made = await as(system, "admin", "POST", "/api/routes", {
    name: "Roles",
    path: "/api/roles",
    backend_url: `${aws.url}/s3`,
    credential: {
      kind: "pool",
      members: [
        { name: "shared", credential: aws.assuming("s3", { arn: SHARED, external_id: EXTERNAL_ID }) },
        { name: "stranger", credential: aws.assuming("s3", { arn: SHARED }) },
      ],
    },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const called = aws.called.length;
  const tried = async (credential) =>
    (await as(system, "admin", "POST", `/api/routes/${made.body.id}/test`, { path: "/a", credential })).body;
  assert.deepEqual([(await tried("shared")).outcome, aws.called.length - called], ["ok", 1]);
  assert.deepEqual(
    [(await tried("stranger")).outcome, aws.called.length - called],
    ["credential-unavailable", 1],
  );
  await eventually(
    async () => (await call("/api/roles/a")).status === 200,
    20_000,
    "the route being published",
  );
  assert.ok(!/s3cret|ASIA/.test(system.logs()));
});
