// Usage while something is down, full or dead: nothing is lost, nothing counts twice, and nothing else stops.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { as, eventually, runtimePids, sleep, startOnSockets } from "../support/harness.mjs";
import { callOf, messageOf } from "../support/usage.mjs";
import { sha256 } from "../support/tokens.mjs";

const MINUTE = 60_000;
/** `/health/detailed` gives the same answer again for that long. */
const HEALTH_MS = 10_500;

/** Starts a system for one test, and stops it whatever happens. */
async function withSystem(options, run) {
  const system = await startOnSockets(options);
  try {
    await run(system);
  } catch (error) {
    await system.stop().catch(() => {});
    throw error;
  }
  await system.stop();
}

/** Seeded, so that a schedule can be made again. */
function randomOf(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const bell = async (system) =>
  Object.fromEntries(
    (await as(system, "admin", "GET", "/api/notifications")).body.items.map((item) => [item.kind, item]),
  );
const health = async (system, name) => {
  const { body } = await as(system, "admin", "GET", "/health/detailed");
  return { overall: body.status, ...body.checks.find((check) => check.name === name) };
};
const rowsOf = async (db, sql) => (await db.prepare(sql).all()).results;
/** The cron until all that waits is folded. */
const folded = (system) =>
  eventually(
    async () => {
      await system.cron();
      return (await rowsOf(system.usage.db, "SELECT id FROM inbox")).length === 0;
    },
    20_000,
    "the fold",
  );

/** Makes a token and a route by the API, since the cron removes from KV what is not in DB. */
async function makeCaller(system, where = "/api/echo") {
  const ask = (of, body) => as(system, "admin", "POST", `/api/${of}`, { name: where, ...body });
  const route = await ask("routes", { path: where, backend_url: `${system.upstream.url}/echo` });
  const token = await ask("tokens", { team_id: "automation", scopes: ["*"] });
  assert.deepEqual([route.status, token.status], [201, 201], JSON.stringify([route.body, token.body]));
  let calls = 0;
  const call = async () => {
    const response = await system.gateway(where, { headers: { "x-api-key": token.body.token } });
    await response.arrayBuffer();
    // A token that the gateway does not know yet is not counted.
    if (response.status !== 401) calls += 1;
    return response.status;
  };
  await eventually(async () => (await call()) === 200, 10_000, "the first call");
  return {
    id: token.body.id,
    call,
    calls: () => calls,
    isStored: async () => (await system.usage.calls({ token: token.body.id })) === calls,
  };
}

/** What was noted so far moves into the past: for the heartbeat, that much time goes by. */
async function passes(system, ms) {
  await system.db.batch(
    [
      "UPDATE settings SET value = CAST(value - ?1 AS INTEGER), updated_at = updated_at - ?1 WHERE key = 'heartbeat'",
      "UPDATE settings SET updated_at = updated_at - ?1 WHERE key = 'queue-lag'",
    ].map((sql) => system.db.prepare(sql).bind(ms)),
  );
  await system.usage.db.batch(
    [
      "UPDATE state SET stored_at = stored_at - ?1, folded_at = folded_at - ?1",
      "UPDATE inbox SET at = at - ?1",
    ].map((sql) => system.usage.db.prepare(sql).bind(ms)),
  );
}

test("a consumer that is killed ten times under load counts every message once", async (t) => {
  const [KILLS, MESSAGES, EVENTS, CLIENTS] = [10, 400, 5, 4];
  const folder = mkdtempSync(path.join(tmpdir(), "usage-killed-"));
  const random = randomOf(7);
  const messages = Array.from({ length: MESSAGES }, (_, n) =>
    messageOf(
      `k${n}`,
      Array.from({ length: EVENTS }, (_, i) => callOf(`k${n}-${i}`, { token_id: `tok_k${n % 3}` })),
    ),
  );
  const acknowledged = new Set();
  const waiting = () => messages.filter(({ id }) => !acknowledged.has(id));
  let interrupted = 0;
  let duplicates = 0;

  /** Delivers batches as a queue may, until the runtime is gone: in any order, some again after their acknowledgement. */
  async function deliverSome(system, isOver, share) {
    while (!isOver()) {
      const open = waiting().filter(({ id }) => Number(id.slice(1)) < share);
      const batch = Array.from({ length: 1 + Math.floor(random() * 12) }, () => {
        const from = open.length > 0 && random() < 0.8 ? open : messages.slice(0, share);
        return from[Math.floor(random() * from.length)];
      });
      duplicates += batch.filter(({ id }) => acknowledged.has(id)).length;
      const answer = await Promise.race([system.deliver(batch), sleep(5_000)]).catch(() => undefined);
      if (!answer) {
        interrupted += 1;
        return;
      }
      for (const id of answer.explicitAcks) acknowledged.add(id);
    }
  }

  try {
    const callers = [];
    for (let kill = 0; kill < KILLS; kill++) {
      const system = await startOnSockets({ persist: folder, schema: kill === 0 });
      // A run of the cron that was killed keeps its lease for three minutes.
      await system.db.prepare("DELETE FROM settings WHERE key = 'cron-lease'").run();
      const caller = await makeCaller(system, `/api/echo-${kill}`);
      callers.push(caller);
      let isKilled = false;
      const client = async () => {
        while (!isKilled) {
          await caller.call().catch(() => {});
          await sleep(10);
        }
      };
      const cron = async () => {
        while (!isKilled) {
          await Promise.race([system.cron(), sleep(5_000)]).catch(() => {});
          await sleep(100 * random());
        }
      };
      const isOver = () => isKilled;
      const share = (MESSAGES / KILLS) * (kill + 1);
      const load = [
        ...Array.from({ length: 3 }, () => deliverSome(system, isOver, share)),
        ...Array.from({ length: CLIENTS }, client),
        cron(),
      ];
      await sleep(500 + 500 * random());
      for (const pid of runtimePids()) process.kill(pid, "SIGKILL");
      isKilled = true;
      await Promise.all(load);
      await system.stop().catch(() => {});
    }
    const system = await startOnSockets({ persist: folder, schema: false });
    await system.db.prepare("DELETE FROM settings WHERE key = 'cron-lease'").run();
    for (let left = waiting(); left.length > 0; left = waiting())
      for (const id of (await system.deliver(left.slice(0, 50))).explicitAcks) acknowledged.add(id);
    await system.deliver([...messages].reverse());
    t.diagnostic(`${interrupted} deliveries interrupted, ${duplicates} messages again`);
    for (const when of ["before the last fold", "after it"]) {
      for (let n = 0; n < 3; n++) {
        const token = `tok_k${n}`;
        const wanted = messages.filter(({ id }) => Number(id.slice(1)) % 3 === n).length * EVENTS;
        const stats = await as(system, "admin", "GET", `/api/usage/stats?token_id=${token}`);
        const ids = (await system.usage.events({ token_id: token })).map(({ id }) => id);
        assert.deepEqual(
          [await system.usage.calls({ token }), stats.body.total.calls, ids.length, new Set(ids).size],
          [wanted, wanted, wanted, wanted],
          `${token} ${when}`,
        );
      }
      // The local queue is in memory, so calls that were in it are gone, but none is there twice.
      for (const { id, calls } of callers) {
        const gate = (await system.usage.events({ token_id: id })).map((event) => event.id);
        assert.equal(new Set(gate).size, gate.length);
        assert.equal(await system.usage.calls({ token: id }), gate.length);
        // A call that was under way had not been answered yet.
        assert.ok(gate.length <= calls() + CLIENTS, `${gate.length} of ${calls()}`);
      }
      await folded(system);
    }
    assert.ok(interrupted >= KILLS, `${interrupted} deliveries were interrupted`);
    await system.stop();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("while USAGE_DB refuses for five minutes, tokens, routes, revocation, audit and sign-in go on, and no call is lost", () =>
  withSystem({}, async (system) => {
    const ask = (method, where, body) => as(system, "admin", method, where, body);
    const routes = async () => JSON.parse(await system.kv.get("routes")).routes.map((route) => route.path);
    const inKv = async (token) => JSON.parse(await system.kv.get(`token:${sha256(token)}`))?.state;
    const caller = await makeCaller(system);
    await system.cron();
    const answered = async () => (await rowsOf(system.usage.db, "SELECT id FROM inbox")).length > 0;
    await eventually(answered, 10_000, "the answer to the heartbeat");
    await system.cron();
    await system.faults("api", { usage_db: { fail: true } });
    const batch = [
      messageOf("out", [callOf("out-1", { token_id: "tok_out" }), callOf("out-2", { token_id: "tok_out" })]),
    ];
    for (let minute = 1; minute <= 5; minute++) {
      assert.equal(await caller.call(), 200);
      assert.deepEqual(
        (await system.deliver(batch)).retryMessages.map(({ msgId }) => msgId),
        ["out"],
        "to be tried again",
      );
      const made = (await ask("POST", "/api/tokens", { name: "t", team_id: "automation", scopes: ["*"] }))
        .body;
      assert.equal(await inKv(made.token), "active");
      const route = { name: "r", path: `/api/r${minute}`, backend_url: `${system.upstream.url}/echo` };
      assert.equal((await ask("POST", "/api/routes", route)).status, 201);
      const revoked = await ask("DELETE", `/api/tokens/${made.id}`);
      assert.deepEqual([revoked.status, revoked.body.propagation], [200, "published"]);
      assert.equal(await inKv(made.token), "revoked");
      const audit = await ask("GET", `/api/dashboard/audit-logs?entity_id=${made.id}`);
      assert.equal(audit.body.items?.length, 2, JSON.stringify(audit.body));
      assert.equal((await ask("GET", "/api/me")).status, 200, "sign-in");
      await passes(system, MINUTE);
      await system.cron();
    }
    await eventually(async () => (await routes()).length === 6, 10_000, "the routes at the gateway");
    const down = await health(system, "usage");
    assert.deepEqual([down.overall, down.status, down.note], ["degraded", "degraded", "cannot be reached"]);
    assert.ok((await bell(system))["queue-stalled"], "nothing was stored for minutes");

    const checked = Date.now();
    await system.faults("api", { usage_db: null });
    await system.deliver(batch);
    await eventually(caller.isStored, 60_000, "the retries of the queue");
    await folded(system);
    assert.deepEqual(
      (await system.usage.events({ token_id: "tok_out" })).map(({ id }) => id),
      ["out-2", "out-1"],
    );
    assert.equal((await system.usage.events({ token_id: caller.id })).length, caller.calls());
    assert.equal((await ask("GET", `/api/usage/token/${caller.id}`)).body.total.calls, caller.calls());
    await system.cron();
    assert.equal((await bell(system))["queue-stalled"], undefined);
    await sleep(Math.max(0, checked + HEALTH_MS - Date.now()));
    assert.equal((await health(system, "usage")).status, "ok");
  }));

test("while DB refuses, usage is stored, and it is in the reports as soon as DB is back", () =>
  withSystem({}, async (system) => {
    const caller = await makeCaller(system);
    await system.faults("api", { db: { fail: true } });
    for (let i = 0; i < 30; i++) assert.equal(await caller.call(), 200);
    const answer = await system.deliver([messageOf("d", [callOf("d-1", { token_id: "tok_d" })])]);
    assert.deepEqual([answer.explicitAcks, answer.retryMessages], [["d"], []]);
    assert.equal(await system.usage.calls({ token: "tok_d" }), 1);
    await eventually(caller.isStored, 10_000, "the calls");
    await system.faults("api", { db: null });
    const report = await as(system, "admin", "GET", `/api/usage/token/${caller.id}`);
    assert.deepEqual([report.status, report.body.total.calls], [200, caller.calls()]);
  }));

test("a nearly full USAGE_DB gives up the oldest raw calls, says so, and keeps every sum", (t) =>
  withSystem({ apiVars: { USAGE_DB_BYTES: "3000000" }, strict: { disturbance: 0 } }, async (system) => {
    const ENOUGH = 2_400_000;
    const text = () => Math.random().toString(36).repeat(20).slice(0, 200);
    const CALLS = 100;
    const calls = Array.from({ length: CALLS }, (_, i) =>
      callOf(`f${i}`, { token_id: "tok_full", user_agent: text(), request_id: Math.random().toString(36) }),
    );
    await system.deliver([messageOf("full", calls)]);
    await folded(system);
    const size = async () => (await system.usage.db.prepare("SELECT 1").run()).meta.size_after;
    const segments = () => rowsOf(system.usage.db, "SELECT id, until, calls FROM segments ORDER BY until");
    const shed = () => system.usage.db.prepare("SELECT shed FROM state").first("shed");
    assert.deepEqual([(await segments()).length, await shed()], [1, 0], "there is room");
    // Copies of the segment, as they would be after some days; as if they were large, so that none is merged.
    const copy = system.usage.db.prepare(
      "INSERT INTO segments SELECT ?1, since - ?2, until - ?2, calls, 700000, head, object, body FROM segments WHERE id = (SELECT max(id) FROM segments WHERE id < 1000)",
    );
    let copies = 0;
    while ((await size()) < ENOUGH * 1.1) {
      await system.usage.db.batch(
        Array.from({ length: 20 }, () => copy.bind(1_000 + copies, ++copies * MINUTE)),
      );
      assert.ok(copies < 5_000, `${await size()} bytes`);
    }
    const before = await segments();
    const [bytes, sums] = [await size(), await system.usage.calls()];
    const full = await health(system, "usage");
    assert.deepEqual([full.overall, full.status], ["degraded", "degraded"]);
    assert.equal(full.note, `${Math.floor(bytes / 30_000)}% full`);
    let runs = 0;
    while ((await size()) >= ENOUGH) {
      await system.cron();
      runs += 1;
      assert.ok(runs < 50, `${await size()} bytes after ${runs} runs`);
    }
    await system.cron();
    const left = await segments();
    t.diagnostic(
      `${bytes} to ${await size()} bytes in ${runs} runs, ${before.length - left.length} of ${before.length} segments`,
    );
    assert.ok(left.length > 0 && left.length < before.length);
    assert.deepEqual(left, before.slice(before.length - left.length), "the newest are left");
    assert.equal(await shed(), (before.length - left.length) * CALLS);
    const rung = (await bell(system))["usage-shed"];
    assert.ok(rung.details.calls > 0 && rung.details.calls <= (await shed()), JSON.stringify(rung));
    assert.equal(await system.usage.calls(), sums);
    assert.equal(
      (await as(system, "admin", "GET", "/api/usage/stats?token_id=tok_full")).body.total.calls,
      CALLS,
    );
  }));

test("a consumer that stands still is degraded and rings within three minutes, and loses nothing", () =>
  withSystem({}, async (system) => {
    const caller = await makeCaller(system);
    await eventually(caller.isStored, 10_000, "the first calls");
    await system.cron();
    const waits = async () => (await rowsOf(system.usage.db, "SELECT id FROM inbox")).length > 0;
    await eventually(waits, 10_000, "the answer to the heartbeat");
    await system.consumer.stop();
    for (let i = 0; i < 40; i++) assert.equal(await caller.call(), 200);
    // The first heartbeat without an answer.
    await passes(system, MINUTE);
    await system.cron();
    for (let minute = 1; minute <= 3; minute++) {
      await passes(system, MINUTE);
      await system.cron();
      assert.equal("queue-stalled" in (await bell(system)), minute === 3, `after ${minute} min`);
    }
    const still = await health(system, "queue");
    assert.deepEqual([still.overall, still.status], ["degraded", "degraded"]);
    assert.match(still.note, /^nothing stored for \d+ s$/);
    const checked = Date.now();
    await system.consumer.start();
    await eventually(caller.isStored, 20_000, "the calls that waited");
    await sleep(1_000);
    assert.ok(await caller.isStored(), "none twice");
    await folded(system);
    const ids = (await system.usage.events({ token_id: caller.id })).map(({ id }) => id);
    assert.deepEqual([ids.length, new Set(ids).size], [caller.calls(), caller.calls()]);
    await system.cron();
    assert.equal((await bell(system))["queue-stalled"], undefined);
    await sleep(Math.max(0, checked + HEALTH_MS - Date.now()));
    assert.equal((await health(system, "queue")).status, "ok");
  }));

test("a cron that was away for minutes does not ring for a consumer that was at work", () =>
  withSystem({}, async (system) => {
    await system.cron();
    const waits = async () => (await rowsOf(system.usage.db, "SELECT id FROM inbox")).length > 0;
    await eventually(waits, 10_000, "the answer to the heartbeat");
    await passes(system, 10 * MINUTE);
    await system.cron();
    assert.equal((await bell(system))["queue-stalled"], undefined);
    assert.equal((await health(system, "queue")).status, "ok");
  }));
