// Usage events as large as a caller can make them: none is dropped, and no other caller loses one. The harness refuses
// a message over the queue's limit, as production does.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";

/** Twice the events of a message, so that at least one is full. */
const CALLS = 100;
const LONG_ROUTE = `/api/${"r".repeat(190)}`;

let system;
before(async () => {
  // Events are collected until a message is full.
  system = await startOnSockets({ gatewayVars: { USAGE_FLUSH_MS: "3000" } });
  const settings = { ai: { provider: "openai" } };
  await system.kv.put("prices", '{"v":1,"prices":{"demo-1":{"prompt":1,"completion":2}}}');
  await putRoutes(system, [
    ["/api/echo", "/echo"],
    [LONG_ROUTE, "/echo"],
    [`${LONG_ROUTE}/ai`, "/v1", { settings }],
  ]);
  const token = await putToken(system);
  await eventually(
    async () => (await system.gateway("/api/echo", { headers: { "x-api-key": token } })).status === 200,
  );
});
after(() => system?.stop());

/** Texts of 8 KB that grow in JSON, in UTF-8, in both, and as control characters; the last ones are no header's. */
const TEXTS = {
  quotes: '"\\'.repeat(4_000),
  "Latin-1": "é".repeat(8_000),
  both: 'é"'.repeat(4_000),
};
const MODELS = {
  ...TEXTS,
  control: "\u0001".repeat(8_000),
  wide: "測".repeat(8_000),
  pairs: "🦀\u2028".repeat(4_000),
};

const budget = { cost_micros_per_day: 500_000_000, ai_tokens_per_day: 100_000_000 };

/** A token with names as long as they may be, and another one. */
const pair = (name) =>
  Promise.all([
    putToken(system, {
      id: `tok_${name}_${"i".repeat(50)}`.slice(0, 60),
      team: "t".repeat(60),
      limits: budget,
    }),
    putToken(system, { id: `tok_other_${name}` }),
  ]);

async function served(where, token, init = {}) {
  const headers = { "x-api-key": token, ...init.headers };
  const response = await system.gateway(where, { ...init, headers });
  await response.text();
  return response.status;
}

/** Makes the calls of both tokens at once, and waits for the events of all of them. */
async function allArrive(name, call) {
  const [large, other] = await pair(name);
  const calls = Array.from({ length: CALLS }, (_, i) => [call(large, i), served("/api/echo", other)]);
  const statuses = await Promise.all(calls.flat());
  assert.deepEqual([...new Set(statuses)], [200]);
  const ids = [`tok_${name}_${"i".repeat(50)}`.slice(0, 60), `tok_other_${name}`];
  const count = () => Promise.all(ids.map((token) => system.usage.calls({ token })));
  const isThere = async () => (await count()).every((calls) => calls === CALLS);
  await eventually(isThere, 15_000).catch(async () => assert.deepEqual(await count(), [CALLS, CALLS]));
  assert.deepEqual((await system.usage.losses()).dropped, 0);
}

for (const [kind, text] of Object.entries(TEXTS)) {
  test(`long paths, headers and ids arrive with all others: ${kind}`, async () => {
    const path = encodeURIComponent(text).slice(0, 7_200);
    const headers = {
      "user-agent": text.slice(0, 4_000),
      referer: `https://${"x".repeat(2_000)}`,
      "cf-ipcountry": text.slice(0, 1_000),
      "cf-connecting-ip": "2001:db8:1234:5678:9abc:def0:1234:5678",
      "x-forwarded-for": "1".repeat(8_000),
      "x-request-id": "r".repeat(64),
      "content-length": "0",
    };
    await allArrive(kind.toLowerCase(), (token) =>
      served(`${LONG_ROUTE}/${path}`, token, { method: "DELETE", headers }),
    );
  });
}

test("long names of models arrive with all others, asked for and responded", async () => {
  const models = Object.values(MODELS);
  await allArrive("models", (token, i) =>
    served(`${LONG_ROUTE}/ai/chat/completions`, token, {
      method: "POST",
      body: JSON.stringify({ model: models[i % models.length], max_tokens: 5 }),
      headers: { "content-type": "application/json", "user-agent": TEXTS.both },
    }),
  );
});

test("no event was dropped along the way", async () => {
  await sleep(500);
  assert.deepEqual(await system.usage.losses(), { dropped: 0, unknown_tokens: 0, undecodable: 0 });
  assert.deepEqual((await system.strictness()).refused, {});
  assert.doesNotMatch(system.logs(), /usage events dropped/);
});
