// A client that hangs up, at each await of a call. Whatever the moment, the call leaves one event, holds no slot and no
// money, and its upstream is told.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { keys } from "../support/aws.mjs";
import { eventually, putRoutes, putToken, sleep, startOnSockets } from "../support/harness.mjs";
import { PIECE, startPatient } from "../support/patient.mjs";

let system;
let patient;
before(async () => {
  [system, patient] = await Promise.all([startOnSockets(), startPatient()]);
  const ai = { provider: "openai" };
  await system.kv.put("prices", '{"v":1,"prices":{"demo-1":{"prompt":1000000,"completion":2000000}}}');
  await putRoutes(system, [
    ["/api/echo", "/echo"],
    ["/api/plain", patient.url],
    ["/api/ai", patient.url, { settings: { ai } }],
    ["/api/asking", patient.url, { settings: { ai: { ...ai, include_usage: true } } }],
    ["/api/fo", patient.url, { settings: { failover: { route_id: "rte__api_echo", any_method: true } } }],
    ["/api/aws", patient.url, { credential: { kind: "aws_sigv4", ...keys, service: "lambda" } }],
    [
      "/api/oauth",
      "/protected",
      {
        credential: {
          kind: "oauth2_client_credentials",
          token_url: `${system.upstream.url}/token/slow`,
          client_id: "client",
          client_secret: "s3cret",
        },
      },
    ],
  ]);
  const token = await putToken(system);
  await eventually(async () => (await served(token)) === 200);
});
after(async () => {
  await system?.stop();
  await patient?.close();
});

/** The status of a call that nobody breaks off. */
async function served(token, where = "/api/echo") {
  const response = await system.gateway(where, { headers: { "x-api-key": token } });
  await response.text();
  return response.status;
}

const SLOTS = { concurrent_calls: 5 };
const BUDGET = { cost_micros_per_day: 5_000_000, ai_tokens_per_day: 1_000_000 };
const CHAT = "/v1/chat/completions";
const ask = { method: "POST", body: '{"model":"demo-1","max_tokens":5}' };

/** Calls by their kind. Only those with `isWatched` must be known to have been broken off after their head. */
const CALLS = {
  plain: { where: "/api/plain" },
  rate: { where: "/api/plain", limits: { calls_per_minute: 1_000 } },
  slots: { where: "/api/plain", limits: SLOTS, isWatched: true },
  budget: { where: `/api/ai${CHAT}`, limits: BUDGET, init: ask, isWatched: true },
  usage: { where: `/api/asking${CHAT}`, init: ask, isWatched: true },
  failover: { where: "/api/fo", limits: SLOTS, isWatched: true },
  signed: { where: "/api/aws", limits: SLOTS, init: ask, isWatched: true },
  socket: { where: "/api/plain", limits: SLOTS, init: { headers: { upgrade: "websocket" } } },
};

/**
 * A token for a call of this kind, and the call's id.
 * @param {string} kind
 * @param {Record<string, any>} [record]
 */
async function draft(kind, { isWarm = true, ...record } = {}) {
  const call = CALLS[kind];
  const id = `hang-${kind}-${Math.random().toString(36).slice(2, 12)}`;
  const token = await putToken(system, {
    id: `tok_${id}`,
    ...(call.limits && { limits: call.limits }),
    ...record,
  });
  if (isWarm) {
    await eventually(async () => (await served(token)) === 200);
    await eventually(async () => (await held({ id, ...call })) === 0);
  }
  return { ...call, kind, id, token };
}

/** Makes the call and hangs up. Everything that it left is looked up later, by `found`. */
async function hangUp(drafted, query, moment, init = {}) {
  const { where, id, token } = drafted;
  const headers = { "x-api-key": token, "x-request-id": id, ...drafted.init?.headers, ...init.headers };
  const all = { ...drafted.init, ...init, headers };
  const { status, hung_up } = await system.hangUp(where + query, all, moment);
  assert.ok(hung_up, `${drafted.kind}: responded with ${status} before the client hung up`);
  return { ...drafted, hungUpAt: Date.now() };
}

/** What is held of the limits of a call's token. */
async function held({ id, limits }) {
  const uses = limits ? await system.uses(`tok_${id}`, limits) : [];
  return uses.reduce((sum, use) => sum + use.reserved, 0);
}

/** What a call has left, as text: its events, what is held of its limits, and its upstream's view. */
async function left({ id, limits, hungUpAt }) {
  const events = await system.usage.events({ token_id: `tok_${id}` });
  const own = events.filter((row) => row.request_id === id).map((row) => `${row.outcome} ${row.status}`);
  const call = patient.calls.get(id);
  const told = (ms) => (ms < 1_000 ? "told" : `told after ${ms} ms`);
  const upstream = !call ? "never asked" : call.closedAt ? told(call.closedAt - hungUpAt) : "not told";
  return `${own.join(" and ") || "no event"}, ${await held({ id, limits })} held, upstream ${upstream}`;
}

/** The calls so far, and what each of them may have left. */
const all = [];

/** Waits up to 5 s until every call has left what is wanted of it, one of several texts. */
async function leave(calls, wanted) {
  const goals = calls.map(wanted);
  all.push(...calls.map((call, i) => ({ call, goal: goals[i] })));
  let wrong;
  for (const end = Date.now() + 5_000; Date.now() < end; await sleep(200)) {
    const texts = await Promise.all(calls.map(left));
    wrong = texts.flatMap((text, i) => (goals[i].includes(text) ? [] : `${calls[i].kind}: ${text}`));
    if (wrong.length === 0) return;
  }
  assert.fail(`wanted ${goals[0].join(" or ")}; but\n${wrong.join("\n")}`);
}

const unasked = () => ["client-gone 499, 0 held, upstream never asked"];
const told = () => ["client-gone 499, 0 held, upstream told"];

/** Hangs up on calls of these kinds while `fault` holds, as soon as each of them has met it. */
async function during(what, fault, kinds, { isWarm = true, meanwhile = (_calls) => {} } = {}) {
  const drafts = await Promise.all(kinds.map((kind) => draft(kind, { isWarm })));
  const before = (await system.faults("gateway", { [what]: fault })).counts[what];
  const met = async () => (await system.faults("gateway")).counts[what] >= before + kinds.length;
  const when = eventually(met).then(() => void meanwhile(drafts));
  try {
    return await Promise.all(drafts.map((drafted) => hangUp(drafted, "?silent", { when })));
  } finally {
    await system.faults("gateway", { [what]: {} });
  }
}

test("before its token is known nothing is sent, and another call of the token is served", async () => {
  let other;
  const calls = await during("kv_get", { delay_ms: 2_000 }, Object.keys(CALLS), {
    isWarm: false,
    meanwhile: ([first]) => (other = served(first.token)),
  });
  assert.equal(await other, 200);
  await sleep(1_000);
  await leave(calls, () => [...unasked(), "no event, 0 held, upstream never asked"]);
});

test("while the prices are read", async () => {
  await leave(await during("kv_get", { delay_ms: 2_000 }, ["budget"]), unasked);
});

const LIMITED = ["rate", "slots", "budget", "failover", "signed", "socket"];

test("before its counter has counted it", async () => {
  await leave(await during("limiter", { delay_ms: 1_500 }, LIMITED), unasked);
});

test("after its counter has counted it and before that is known", async () => {
  await leave(await during("limiter", { late_ms: 1_500 }, LIMITED), unasked);
});

test("while the call waits as its client asked", async () => {
  const headers = { "x-token-manager-fault": "latency=20000" };
  const drafted = await draft("slots", { inject_faults: true });
  await leave([await hangUp(drafted, "", { afterMs: 1_000 }, { headers })], unasked);
});

test("while the credential is fetched, which then serves the next call", async () => {
  const drafted = { ...(await draft("slots")), where: "/api/oauth" };
  const call = await hangUp(drafted, "", { when: sleep(300) });
  const next = served(drafted.token, "/api/oauth");
  await leave([call], unasked);
  assert.equal(await next, 200);
});

const upload = { bytes: 40_000, pieces: 4, everyMs: 50 };

test("while its body is taken in, nothing is sent", async () => {
  const drafts = await Promise.all(["budget", "usage", "failover", "signed"].map((kind) => draft(kind)));
  const init = { method: "POST", body: undefined, upload };
  const calls = drafts.map((drafted) => hangUp(drafted, "", { afterSent: 20_000 }, init));
  await leave(await Promise.all(calls), unasked);
});

test("while its body is sent on", async () => {
  const drafts = await Promise.all(["plain", "rate", "slots"].map((kind) => draft(kind)));
  const calls = drafts.map((drafted) => {
    const when = eventually(() => patient.calls.get(drafted.id)?.bodyBytes >= 10_000);
    const slow = { ...upload, everyMs: 5_000 };
    return hangUp(drafted, "", { when }, { method: "POST", upload: slow });
  });
  await leave(await Promise.all(calls), told);
});

test("a connection that breaks in an upload is the client's fault, not the upstream's", async () => {
  const drafts = await Promise.all(["budget", "usage", "failover", "signed"].map((kind) => draft(kind)));
  const { hostname, port } = new URL(system.urls.gateway);
  const calls = drafts.map(async (drafted) => {
    const { where, id, token } = drafted;
    const head = [
      `POST ${where} HTTP/1.1`,
      "host: gw",
      `x-api-key: ${token}`,
      `x-request-id: ${id}`,
      "content-length: 40000",
    ];
    const socket = connect(Number(port), hostname).on("error", () => {});
    socket.write(`${head.join("\r\n")}\r\n\r\n${"x".repeat(20_000)}`);
    await sleep(1_000);
    socket.destroy();
    return { ...drafted, hungUpAt: Date.now() };
  });
  await leave(await Promise.all(calls), unasked);
});

test("while the upstream is silent", async () => {
  const drafts = await Promise.all(Object.keys(CALLS).map((kind) => draft(kind)));
  const calls = drafts.map((drafted) =>
    hangUp(drafted, "?silent", { when: eventually(() => patient.calls.has(drafted.id)) }),
  );
  await leave(await Promise.all(calls), told);
});

/** After the head the client has a status. A plain call may be recorded when its response begins. */
const toldLater = ({ isWatched }) =>
  (isWatched ? ["client-gone 200"] : ["client-gone 200", "ok 200"]).map(
    (event) => `${event}, 0 held, upstream told`,
  );

for (const [moment, query, afterBytes] of /** @type {[string, string, number][]} */ ([
  ["when the response begins", "?pieces=1&endless", 0],
  ["in a stream that goes on", "?pieces=1000&every_ms=20", 50],
  ["in a stream that is silent", "?pieces=3&endless", 50],
])) {
  test(moment, async () => {
    const kinds = Object.keys(CALLS).filter((kind) => kind !== "socket");
    const drafts = await Promise.all(kinds.map((kind) => draft(kind)));
    const calls = drafts.map((drafted) => hangUp(drafted, query, { afterBytes }));
    await leave(await Promise.all(calls), toldLater);
  });
}

test("its event tells the bytes that it received, not those that were announced", async () => {
  const kinds = ["slots", "budget", "usage", "failover", "signed"];
  const drafts = await Promise.all(kinds.map((kind) => draft(kind)));
  const [early, late] = ["?silent", "?pieces=3&endless&length=1000000"];
  const calls = drafts.map((drafted, i) =>
    hangUp(drafted, i === 0 ? early : late, i === 0 ? { afterMs: 500 } : { afterBytes: 50 }),
  );
  for (const { kind, id } of await Promise.all(calls)) {
    const [row] = await eventually(
      async () => {
        const events = await system.usage.events({ token_id: `tok_${id}` });
        const own = events.filter((event) => event.request_id === id);
        return own.length > 0 && own;
      },
      5_000,
      `an event of ${kind}`,
    );
    const wanted = kind === "slots" ? 0 : 3 * PIECE.length;
    assert.ok(row.bytes_out <= wanted, `${kind}: ${row.bytes_out} bytes`);
  }
});

test("nothing came later, no breaker opened, and the gateway is fine", async () => {
  await sleep(2_000);
  const texts = await Promise.all(all.map(({ call }) => left(call)));
  const wrong = texts.flatMap((text, i) => (all[i].goal.includes(text) ? [] : `${all[i].call.id}: ${text}`));
  const token = await putToken(system);
  const calls = Array.from({ length: 30 }, (_, i) => served(token, i % 2 ? "/api/echo" : "/api/fo"));
  assert.deepEqual([...new Set(await Promise.all(calls))], [200]);
  const bad = /Uncaught|Critical|panicked|second upstream tried/;
  wrong.push(
    ...system
      .logs()
      .split("\n")
      .filter((line) => bad.test(line)),
  );
  assert.deepEqual(wrong, []);
});
