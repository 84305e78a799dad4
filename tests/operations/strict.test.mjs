// The harness is as strict as production: each limit is enforced, and the system keeps its guarantees under them.
import assert from "node:assert/strict";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Miniflare, convertV4MiniflareOptions } from "miniflare";
import { root } from "../../scripts/setup.mjs";
import { buildHere, removeBuild } from "../support/builds.mjs";
import {
  as,
  eventually,
  putRoutes,
  putToken,
  sleep,
  startOnSockets,
  startSystem,
} from "../support/harness.mjs";
import { deadLetters, strictVars, watch } from "../support/strictness.mjs";
import { Invocation, disturb } from "../support/strict.mjs";

describe("a Worker that exceeds", () => {
  let runtime, greedy;
  const letters = [];
  before(async () => {
    const support = path.join(root, "tests/support");
    const module = (file) => ({ type: "ESModule", path: path.join(support, file) });
    const worker = {
      name: "greedy",
      compatibilityDate: "2026-11-01",
      modulesRoot: root,
      modules: ["greedy.mjs", "crossings.mjs", "faulty.mjs", "strict.mjs"].map(module),
      kvNamespaces: ["TOKENS"],
      d1Databases: ["DB", "USAGE_DB"],
      r2Buckets: ["CALLS"],
      queueProducers: { USAGE: { queueName: "greedy" } },
      queueConsumers: {
        greedy: {
          maxBatchSize: 100,
          maxBatchTimeout: 0,
          maxRetries: 2,
          deadLetterQueue: "token-manager-usage-dlq",
        },
      },
      bindings: strictVars({ kvLateMs: 1_500, disturbance: 0 }),
    };
    runtime = new Miniflare(
      convertV4MiniflareOptions({
        workers: /** @type {any} */ ([worker, deadLetters(letters)]),
        handleStructuredLogs: () => {},
      }),
    );
    greedy = await runtime.getWorker("greedy");
  });
  after(() => runtime?.dispose());

  const attempt = async (attempt, key = attempt) =>
    (await greedy.fetch("http://greedy/", { method: "POST", body: JSON.stringify({ attempt, key }) })).json();
  const report = async () => (await greedy.fetch("http://greedy/__strict")).json();

  const TOO_MANY = /Too many API requests by single worker invocation/;
  for (const [what, kind, message] of /** @type {any[][]} */ ([
    ["a key written twice", "kv_writes_a_second", /^KV PUT failed: 429 Too Many Requests$/],
    ["a key written and deleted", "kv_writes_a_second", /^KV DELETE failed: 429 Too Many Requests$/],
    ["1,001 reads of KV", "kv_operations", TOO_MANY],
    ["a value of 26 MiB", "kv_size", /KV PUT failed: 413/],
    ["a key of 513 bytes", "kv_size", /KV PUT failed: 414/],
    ["an expirationTtl of 59 s", "kv_size", /KV PUT failed: 400/],
    ["a cacheTtl of 29 s", "kv_size", /KV GET failed: 400/],
    ["a list of 1,001 keys", "kv_size", /KV .*failed: 400/],
    ["1,001 queries", "d1_queries", TOO_MANY],
    ["1,001 queries to two databases", "d1_queries", TOO_MANY],
    ["1,001 reads of R2", "r2_operations", TOO_MANY],
    ["101 parameters", "d1_size", /too many SQL variables/],
    ["a statement of 101 KB", "d1_size", /too (big|long)/],
    ["a value of 2.1 MB", "d1_size", /too big/],
    ["a message of 129 KB", "queue_message_bytes", /413 Payload Too Large/],
    ["101 messages at once", "queue_batch_messages", /413 Payload Too Large/],
    ["a batch of 257 KB", "queue_batch_bytes", /413 Payload Too Large/],
  ])) {
    test(`${what} is refused, and that is counted`, async () => {
      const count = async () => (await report()).refused[kind]?.count ?? 0;
      const earlier = await count();
      assert.match((await attempt(what)).error ?? "taken", message);
      assert.equal(await count(), earlier + 1);
    });
  }

  test("a refused write is resolved once a later one of its key is accepted", async () => {
    const unresolved = async () => (await report()).refused.kv_writes_a_second.unresolved;
    const before = await unresolved();
    await attempt("a key written twice", "again");
    assert.equal(await unresolved(), before + 1);
    await sleep(1_050);
    await attempt("a key written twice in two seconds", "again");
    assert.equal(await unresolved(), before);
  });

  for (const what of ["a key written twice in two seconds", "1,000 reads of KV", "1,000 queries"]) {
    test(`not: ${what}`, async () => assert.equal((await attempt(what)).error, undefined));
  }

  test("counts are per invocation: fetch, cron and batch each begin at zero", async () => {
    const { refused } = await report();
    assert.equal((await attempt("1,000 reads of KV")).error, undefined);
    assert.equal((await greedy.scheduled({ cron: "* * * * *" })).outcome, "ok");
    assert.equal(
      (await greedy.queue("greedy", [{ id: "m", timestamp: new Date(), attempts: 1, body: "x" }])).outcome,
      "ok",
    );
    assert.deepEqual((await report()).refused, refused);
  });

  test("rows written are counted by statement, connections at their maximum", async () => {
    await attempt("three rows");
    await attempt("seven reads at once");
    const { rows, open_connections } = await report();
    assert.equal(rows["INSERT INTO t VALUES (1), (2), (3)"], 3);
    assert.ok(open_connections >= 7, `${open_connections}`);
  });

  test("a write shows only once the location's copy has expired, whether or not the key existed", async () => {
    const kv = await runtime.getKVNamespace("TOKENS", "greedy");
    await kv.put("present", "old");
    const read = async (key) => (await attempt("read", key)).value;
    assert.deepEqual([await read("present"), await read("absent")], ["old", null]);
    await kv.put("present", "new");
    await kv.put("absent", "new");
    assert.deepEqual([await read("present"), await read("absent")], ["old", null]);
    await sleep(1_600);
    assert.deepEqual([await read("present"), await read("absent")], ["new", "new"]);
  });

  test("a message whose tries are used up goes to the dead letters", async () => {
    const queue = await runtime.getQueueProducer("USAGE", "greedy");
    await queue.send("bad", { contentType: "text" });
    await eventually(() => letters.includes("bad"), 10_000, "the dead letter");
  });
});

test("a disturbed batch holds every message, acknowledges each once, and comes in all sizes", () => {
  let seed = 1;
  const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  const sizes = new Set();
  let [lost, twice] = [0, 0];
  for (let run = 0; run < 200; run++) {
    const acknowledged = [];
    const messages = Array.from({ length: 100 }, (_, id) => ({ id, ack: () => acknowledged.push(id) }));
    for (const batch of disturb(messages, 0.5, random)) {
      sizes.add(batch.messages.length);
      if (batch.isLost) lost += 1;
      else batch.messages.forEach((message) => message.ack());
      twice += batch.messages.length - new Set(batch.messages.map(({ id }) => id)).size;
    }
    assert.deepEqual(
      acknowledged.sort((a, b) => a - b),
      messages.map(({ id }) => id),
    );
  }
  assert.ok(
    sizes.has(1) && sizes.has(100) && sizes.size > 50 && lost > 0 && twice > 0,
    `${sizes.size} sizes, ${lost} lost, ${twice} twice`,
  );
});

test("an invocation's work is counted together, however it is spread over time", () => {
  const invocation = new Invocation();
  for (let i = 0; i < 1_000; i++) invocation.take("kv_operations", "k");
  assert.throws(() => invocation.take("kv_operations", "k"), /Too many API requests/);
  assert.doesNotThrow(() => new Invocation().take("kv_operations", "k"));
});

for (const [name, start] of /** @type {any[][]} */ ([
  ["wrangler's test harness", startSystem],
  ["sockets", startOnSockets],
])) {
  test(`on ${name} a limit that is hit fails the file, unless the test expects it`, async () => {
    const system = await start();
    try {
      const ask = (method, where, body) => as(system, "admin", method, where, body);
      const made = await ask("POST", "/api/tokens", { name: "strict", team_id: "automation", scopes: ["*"] });
      assert.equal(made.status, 201, JSON.stringify(made.body));
      assert.deepEqual((await system.strictness()).refused, {});
      assert.ok(
        Object.values((await system.strictness()).rows).some((rows) => rows > 0),
        "rows by statement",
      );
      const met = (unresolved) => ({
        api: async () =>
          Response.json({ refused: { kv_writes_a_second: { count: 1, unresolved, first: "routes" } } }),
      });
      await assert.rejects(
        watch(met(1)).stopWatching(async () => {}),
        /production would have refused this/,
      );
      await watch(met(1), ["kv_writes_a_second"]).stopWatching(async () => {});
      await watch(met(0)).stopWatching(async () => {});
    } finally {
      await system.stop();
    }
  });
}

describe("the system under production's limits", () => {
  let system;
  before(async () => {
    const folder = buildHere("strict-test");
    const builds = { gateway: folder, "admin-api": folder };
    system = await startOnSockets({ versions: [{ name: "old", builds }], strict: { disturbance: 1 } });
    await putRoutes(system, [
      ["/api/echo", "/echo"],
      ["/api/slow", "/slow"],
    ]);
  });
  after(async () => {
    await system?.stop();
    removeBuild("strict-test");
  });

  const call = (token, where = "/api/echo", at = system.urls.gateway) =>
    fetch(at + where, { headers: { "x-api-key": token } });
  const counted = async (id) => ({
    events: (await system.usage.events({ token_id: id })).length,
    calls: await system.usage.calls({ token: id }),
  });

  test("events that come in any order, size and number of times are counted once", async () => {
    const token = await putToken(system, { id: "tok_disturbed" });
    await Promise.all(Array.from({ length: 120 }, async () => assert.equal((await call(token)).status, 200)));
    await eventually(async () => (await counted("tok_disturbed")).events >= 120, 15_000, "the events");
    await sleep(4_000);
    assert.deepEqual(await counted("tok_disturbed"), { events: 120, calls: 120 });
  });

  test("a consumer that is stopped and started again counts the waiting events", async () => {
    const token = await putToken(system, { id: "tok_waiting" });
    await system.consumer.stop();
    for (let i = 0; i < 20; i++) assert.equal((await call(token)).status, 200);
    await sleep(5_000);
    assert.deepEqual(await counted("tok_waiting"), { events: 0, calls: 0 });
    await system.consumer.start();
    await eventually(async () => (await counted("tok_waiting")).events >= 20, 15_000, "the events");
    assert.deepEqual(await counted("tok_waiting"), { events: 20, calls: 20 });
  });

  test("a client that hangs up on a plain call leaves one event, as production drops the handler", async () => {
    const token = await putToken(system, { id: "tok_hung_up" });
    const headers = { "x-api-key": token };
    assert.deepEqual(await system.hangUp("/api/slow?ms=1500", { headers }, { afterMs: 400 }), {
      status: null,
      bytes: 0,
      hung_up: true,
    });
    await eventually(async () => (await counted("tok_hung_up")).events > 0, 10_000, "the event");
    await sleep(4_000);
    const events = await system.usage.events({ token_id: "tok_hung_up" });
    assert.deepEqual(
      events.map(({ outcome, status }) => [outcome, status]),
      [["client-gone", 499]],
    );
    assert.equal((await system.hangUp("/api/echo", { headers })).status, 200, "the next call is fine");
  });

  test("another build of both Workers serves beside the newest one, on the same stores", async () => {
    const made = await as(system, "admin", "POST", "/api/tokens", {
      name: "both",
      team_id: "automation",
      scopes: ["*"],
    });
    assert.equal(made.status, 201);
    for (const at of [system.urls.gateway, system.versions.old.gateway])
      assert.equal((await call(made.body.token, "/api/echo", at)).status, 200);
    const seen = await fetch(`${system.versions.old.api}/api/tokens/${made.body.id}`, {
      headers: { authorization: `Bearer ${system.jwt()}` },
    });
    assert.equal(seen.status, 200);
  });
});

test(
  "with KV as late as in production and without polls of the feed a revoked token is refused within its cache's 30 s and the gateway's 10 s",
  { timeout: 90_000 },
  async () => {
    const system = await startOnSockets({
      strict: { kvLateMs: 60_000 },
      gatewayVars: { FEED_POLL_MS: "0" },
    });
    try {
      const route = {
        name: "Echo",
        path: "/api/echo",
        backend_url: `${system.upstream.url}/echo`,
        tags: ["echo"],
      };
      assert.equal((await as(system, "admin", "POST", "/api/routes", route)).status, 201);
      const made = (
        await as(system, "admin", "POST", "/api/tokens", {
          name: "late",
          team_id: "automation",
          scopes: ["*"],
        })
      ).body;
      const status = async () =>
        (await system.gateway("/api/echo", { headers: { "x-api-key": made.token } })).status;
      assert.equal(await status(), 200);
      await sleep(1_000);
      assert.equal((await as(system, "admin", "DELETE", `/api/tokens/${made.id}`)).status, 200);
      const revoked = Date.now();
      assert.equal(await status(), 200, "KV shows the old value still");
      await eventually(async () => (await status()) !== 200, 41_000, "the refusal");
      assert.ok(Date.now() - revoked > 15_000, "no sooner than the location's copy ends");
    } finally {
      await system.stop();
    }
  },
);
