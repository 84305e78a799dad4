// Usage from the call to the report: how soon, how complete, and how much is written for it.
// Its lines stay in one file: its tests share three systems, and starting one takes seconds.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { as, eventually, sleep, startOnSockets } from "../support/harness.mjs";
import { callOf, messageOf } from "../support/usage.mjs";

/** A call stands in every report within this time. */
const SEEN_WITHIN_MS = 10_000;

let system;
const ask = async (where, user = "admin") => {
  const { status, body } = await as(system, user, "GET", where);
  assert.equal(status, 200, `${where}: ${JSON.stringify(body)}`);
  return body;
};
const queries = async () => (await system.faults("api")).counts.usage_db;
const segments = async (what = "count(*)") =>
  system.usage.db.prepare(`SELECT ${what} AS n FROM segments`).first("n");
const folded = () =>
  eventually(
    async () => {
      await system.cron();
      return (await system.usage.db.prepare("SELECT count(*) AS n FROM inbox").first("n")) === 0;
    },
    20_000,
    "the fold",
  );

describe("with the times of wrangler.toml", () => {
  before(async () => {
    system = await startOnSockets({ gatewayVars: { USAGE_FLUSH_MS: "500" } });
    const route = await as(system, "admin", "POST", "/api/routes", {
      name: "Echo",
      path: "/api/echo",
      backend_url: `${system.upstream.url}/echo`,
    });
    assert.equal(route.status, 201, JSON.stringify(route.body));
    system.route = route.body;
  });
  after(() => system?.stop());

  const makeToken = async () => {
    const { status, body } = await as(system, "admin", "POST", "/api/tokens", {
      name: "timed",
      team_id: "automation",
      scopes: ["*"],
    });
    assert.equal(status, 201, JSON.stringify(body));
    return body;
  };
  const call = async (token, where = "/api/echo") => {
    const response = await system.gateway(where, { headers: { "x-api-key": token.token } });
    await response.arrayBuffer();
    return response.status;
  };

  /** Every report, as a function that reads how many calls it has; `events` lists only those to a path. */
  function reportsOf(token) {
    const own = async (where) =>
      (await (await system.call(where, { headers: { "x-api-key": token.token } })).json()).total.calls;
    const total = async (where) => (await ask(where)).total.calls;
    const line = async (where, field, id) =>
      (await ask(where)).items.find((item) => item[field] === id)?.calls ?? 0;
    const path = encodeURIComponent(system.route.path);
    return {
      "test-data": () => own("/api/usage/test-data"),
      me: () => own("/api/usage/me"),
      stats: () => total("/api/usage/stats"),
      "stats of a token": () => total(`/api/usage/stats?token_id=${token.id}`),
      token: () => total(`/api/usage/token/${token.id}`),
      route: () => total(`/api/usage/route?route_path=${path}`),
      team: () => total("/api/usage/team/automation"),
      tokens: () => line("/api/usage/tokens", "token_id", token.id),
      routes: () => line("/api/usage/routes", "route_id", system.route.id),
      overview: () => total("/api/dashboard/overview"),
      counts: async () => (await ask("/api/stats")).calls,
      events: async () =>
        (await ask(`/api/usage/events?token_id=${token.id}&path=/api/echo/marked&limit=200`)).items.length,
    };
  }

  /**
   * Reads all reports again and again until each has the calls that `dueOf` names by the times at which they were made,
   * and `isOver`. Returns for each the longest time from a call to the report that had it.
   */
  async function watchReports(reports, base, dueOf, isOver) {
    const [worst, seen] = [{}, {}];
    for (const [name] of reports) worst[name] = seen[name] = 0;
    const look = async ([name, read]) => {
      const now = (await read()) - base[name];
      assert.ok(now >= seen[name], `${name} had ${seen[name]} calls and now has ${now}`);
      assert.ok(now <= dueOf(name).length, `${name} has ${now} calls of ${dueOf(name).length}`);
      for (const at of dueOf(name).slice(seen[name], now))
        worst[name] = Math.max(worst[name], Date.now() - at);
      seen[name] = now;
    };
    const isMissing = ([name]) => Date.now() - (dueOf(name)[seen[name]] ?? Infinity) > 2 * SEEN_WITHIN_MS;
    while (!isOver() || reports.some(([name]) => seen[name] < dueOf(name).length)) {
      await sleep(100);
      await Promise.all(reports.map(look));
      assert.deepEqual(
        reports.filter(isMissing).map(([name]) => name),
        [],
        "a call is missing",
      );
    }
    return worst;
  }

  /**
   * Makes `count` calls, one each `pauseMs`, every `marked`th to the path that `events` lists. Meanwhile it reads all
   * reports. Returns for each the longest time from a call to the report that had it.
   */
  async function delays(count, pauseMs, marked) {
    const token = await makeToken();
    await eventually(async () => (await call(token)) === 200, SEEN_WITHIN_MS, "the first call");
    const isStored = async () => (await system.usage.calls({ token: token.id })) > 0;
    await eventually(isStored, SEEN_WITHIN_MS, "the first usage");
    await sleep(1_000);
    const reports = Object.entries(reportsOf(token));
    const base = Object.fromEntries(
      await Promise.all(reports.map(async ([name, read]) => [name, await read()])),
    );
    const sent = { all: [], marked: [] };
    let isOver = false;
    const client = async () => {
      const started = Date.now();
      const answers = [];
      for (let i = 0; i < count; i++) {
        await sleep(Math.max(0, started + i * pauseMs - Date.now()));
        const isMarked = i % marked === 0;
        sent.all.push(Date.now());
        if (isMarked) sent.marked.push(Date.now());
        answers.push(call(token, isMarked ? "/api/echo/marked" : "/api/echo"));
      }
      assert.deepEqual([...new Set(await Promise.all(answers))], [200]);
      isOver = true;
    };
    // A fold moves calls from one place to another while reports are read.
    const folds = async () => {
      while (!isOver) {
        await sleep(4_000);
        await system.cron();
      }
    };
    const dueOf = (name) => (name === "events" ? sent.marked : sent.all);
    const [worst] = await Promise.all([watchReports(reports, base, dueOf, () => isOver), client(), folds()]);
    return worst;
  }

  for (const [name, count, pauseMs, marked] of /** @type {[string, number, number, number][]} */ ([
    ["at a trickle", 6, 1_500, 1],
    ["at 50 calls a second", 1_000, 20, 10],
  ]))
    test(`${name}, a call is in every report within 10 s, once, and stays there while it is folded`, async (t) => {
      const worst = await delays(count, pauseMs, marked);
      t.diagnostic(`longest times in ms: ${JSON.stringify(worst)}`);
      const late = Object.entries(worst).filter(([, ms]) => ms > SEEN_WITHIN_MS);
      assert.deepEqual(late, []);
    });

  test("a disabled token that keeps calling is counted in full, and costs next to nothing", async (t) => {
    const CALLS = 2_000;
    const token = await makeToken();
    const { id } = token;
    let [served, refused] = [0, 0];
    const use = async () => {
      const status = await call(token);
      if (status === 200) served += 1;
      else refused += 1;
      return status;
    };
    const areStored = async () => (await system.usage.calls({ token: id })) === served + refused;
    assert.equal(await use(), 200);
    assert.equal((await as(system, "admin", "POST", `/api/tokens/${id}/disable`)).status, 200);
    await eventually(async () => (await use()) === 401, 2 * SEEN_WITHIN_MS, "the refusal");
    await eventually(areStored, SEEN_WITHIN_MS, "the first usage");
    await folded();
    const rows = async () => (await system.faults("api")).counts.d1_rows_written;
    const before = await rows();
    const client = async () => {
      for (let i = 0; i < CALLS / 20; i++) assert.equal(await use(), 401);
    };
    await Promise.all(Array.from({ length: 20 }, client));
    await eventually(areStored, 2 * SEEN_WITHIN_MS, "the calls");
    await folded();
    const each = ((await rows()) - before) / CALLS;
    t.diagnostic(`${each} rows written a call, with the fold and the cron`);
    assert.ok(each <= 0.02, `${each} rows a call`);
    assert.equal((await ask(`/api/usage/stats?token_id=${id}`)).total.denied, refused);
    const raw = await system.usage.events({ token_id: id, outcome: "denied-disabled" });
    // A new hour may begin in between.
    const hours = new Set(raw.map(({ at }) => Math.floor(at / 3_600_000)));
    assert.ok(raw.length > 0 && raw.length <= 100 * hours.size, `${raw.length} raw calls`);
  });
});

describe("two versions", () => {
  before(async () => {
    system = await startOnSockets({ versions: [{ name: "other" }], strict: { disturbance: 0 } });
  });
  after(() => system?.stop());

  /** Delivers messages to the consumer of each version at the same time. */
  async function deliverToBoth(messages) {
    const consumers = await Promise.all(
      ["admin-api", "admin-api-other"].map((name) => system.workers.getWorker(name)),
    );
    const batch = () => messages.map((message) => ({ timestamp: new Date(), attempts: 1, ...message }));
    return Promise.all(consumers.map((consumer) => consumer.queue("token-manager-usage", batch())));
  }
  const countsOnce = async (token, calls) => {
    assert.equal(await system.usage.calls({ token }), calls);
    const ids = (await system.usage.events({ token_id: token })).map(({ id }) => id);
    assert.deepEqual([ids.length, new Set(ids).size], [calls, calls], "each raw call once");
  };

  for (const [name, token, key] of /** @type {any[][]} */ ([
    ["of today's gateway", "tok_keyed", undefined],
    ["without a key, of an older gateway,", "tok_keyless", null],
  ]))
    test(`a message ${name} that two consumers get at the same time counts once, and once more later`, async () => {
      const ROUNDS = 15;
      for (let round = 0; round < ROUNDS; round++) {
        const messages = [0, 1].map((n) =>
          messageOf(
            `m${token}${round}${n}`,
            [0, 1, 2].map((i) => callOf(`${token}-${round}-${n}-${i}`, { token_id: token })),
            { key },
          ),
        );
        const alone = messageOf(`x${token}${round}`, [callOf(`${token}-${round}-x`, { token_id: token })], {
          key,
        });
        const [one, two] = await deliverToBoth([...messages, messages[0]]);
        for (const answer of [one, two]) assert.deepEqual(answer.retryMessages, [], "stored or known");
        // A fold in between, and messages that are new beside those that are known.
        if (round % 5 === 0) await system.cron();
        await deliverToBoth([messages[1], alone]);
      }
      await system.deliver([messageOf("later", [callOf(`${token}-later`, { token_id: token })], { key })]);
      await countsOnce(token, ROUNDS * 7 + 1);
      await folded();
      await countsOnce(token, ROUNDS * 7 + 1);
    });
});

describe("many calls", () => {
  before(async () => {
    system = await startOnSockets({ strict: { disturbance: 0 } });
  });
  after(() => system?.stop());
  beforeEach(() =>
    system.usage.db.batch(
      ["DELETE FROM segments", "DELETE FROM inbox", "DELETE FROM open"].map((sql) =>
        system.usage.db.prepare(sql),
      ),
    ),
  );

  test("a search without a match ends, or says how far it got, and opens no segment that cannot match", async () => {
    const id = (i) => `few-${String(i).padStart(2, "0")}`;
    await system.deliver([
      messageOf(
        "few",
        Array.from({ length: 20 }, (_, i) => callOf(id(i), { at: Date.now() - 100_000 })),
      ),
    ]);
    await folded();
    assert.equal(await segments(), 1);
    const from = Date.now() - 40 * 86_400_000;
    const before = await queries();
    for (const nothing of [
      "status=5xx",
      "outcome=timeout",
      "method=DELETE",
      "token_id=tok_never",
      "team_id=core-team",
    ]) {
      const page = await ask(`/api/usage/events?from=${from}&${nothing}`);
      assert.deepEqual([page.items, page.next_cursor, page.searched_to], [[], undefined, undefined], nothing);
    }
    assert.equal((await queries()) - before, 5, "one query each");
    // Copies, as there would be after some days, none of them at the time of another.
    await system.usage.db
      .prepare(
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 119)
          INSERT INTO segments SELECT id + i, since - i * 600000, until - i * 600000, calls, bytes, head, object, body FROM segments, n`,
      )
      .run();
    const ends = [];
    for (let cursor; ;) {
      const started = await queries();
      const page = await ask(
        `/api/usage/events?from=${from}&path=/nowhere${cursor ? `&cursor=${cursor}` : ""}`,
      );
      assert.deepEqual(page.items, []);
      assert.ok((await queries()) - started <= 18, "at most 50 segments");
      cursor = page.next_cursor;
      assert.equal(cursor === undefined, page.searched_to === undefined);
      if (!cursor) break;
      ends.push(page.searched_to);
      assert.ok(ends.length < 5, `searched to ${ends}`);
    }
    assert.equal(ends.length, 2, "50 of 120 segments a page");
    assert.ok(ends[0] > ends[1]);
  });

  test("a list of segments that all overlap, as late calls make them, ends and has every call once", async () => {
    const SEGMENTS = 60;
    // Of one hour: calls of different hours have segments of their own.
    const hour = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 3_600_000;
    const [late, now] = [hour, hour + 3_000_000];
    const ids = [];
    for (let i = 0; i < SEGMENTS; i++) {
      const calls = [late + i, now + i].map((at, n) => callOf(`lap-${i}-${n}`, { at, token_id: "tok_lap" }));
      ids.push(...calls.map(({ id }) => id));
      await system.deliver([messageOf(`lap${i}`, calls)]);
      await system.cron();
      // As if it were full, so that the next fold makes another.
      await system.usage.db.prepare("UPDATE segments SET calls = 20000").run();
    }
    assert.equal(await segments(), SEGMENTS);
    /** @type {any[]} */
    const found = [];
    for (const [path, calls] of /** @type {any[][]} */ ([
      ["/nowhere", []],
      ["/api", ids],
    ])) {
      found.length = 0;
      for (let cursor, pages = 0; ; pages++) {
        assert.ok(pages < 10, `${path}: the list has ${found.length} calls and goes on`);
        const page = await ask(
          `/api/usage/events?token_id=tok_lap&limit=200&path=${path}${cursor ? `&cursor=${cursor}` : ""}`,
        );
        found.push(...page.items.map(({ id }) => id));
        cursor = page.next_cursor;
        if (!cursor) break;
      }
      assert.deepEqual([...found].sort(), [...calls].sort(), path);
    }
  });

  test("calls of a quiet token among many are listed once, from the blocks that have them", async () => {
    const [CALLS, EACH] = [12_000, 1_000];
    // Of one hour: calls of different hours have segments of their own.
    const start = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 3_600_000;
    const call = (i) =>
      callOf(`block-${i}`, { at: start + i * 100, token_id: i % EACH === 7 ? "tok_rare" : `tok_${i % 7}` });
    await system.deliver(
      Array.from({ length: CALLS / EACH }, (_, n) =>
        messageOf(
          `k${n}`,
          Array.from({ length: EACH }, (_, i) => call(n * EACH + i)),
        ),
      ),
    );
    await folded();
    const counted = (sql) => system.usage.db.prepare(`SELECT count(*) AS n FROM ${sql}`).first("n");
    assert.ok((await counted("blocks")) >= CALLS / 300);
    assert.ok((await counted("blocks WHERE instr(head, ' t:k_rare ') > 0")) <= 3, "by token");
    const before = await queries();
    const found = (await ask("/api/usage/events?token_id=tok_rare&limit=200")).items.map(({ id }) => id);
    assert.ok((await queries()) - before <= 3, "found, its places, and read");
    const wanted = Array.from({ length: CALLS / EACH }, (_, n) => `block-${n * EACH + 7}`).reverse();
    assert.deepEqual(found, wanted);
    const pages = await system.usage.events({ token_id: "tok_rare", limit: "5" });
    assert.deepEqual(
      pages.map(({ id }) => id),
      wanted,
    );
    await system.usage.db.prepare("DELETE FROM segments").run();
    assert.deepEqual([await counted("blocks"), await counted("block_texts")], [0, 0], "with their segment");
  });

  test("a file of more calls than a segment has every call once, newest first, also while they are folded", async (t) => {
    const [CALLS, EACH] = [25_000, 1_000];
    const start = Date.now() - 3_600_000;
    const ids = Array.from({ length: CALLS }, (_, i) => `many-${String(i).padStart(5, "0")}`);
    const call = (i) => callOf(ids[i], { at: start + i * 100, token_id: `tok_${i % 7}` });
    const messages = Array.from({ length: CALLS / EACH }, (_, n) =>
      messageOf(
        `n${n}`,
        Array.from({ length: EACH }, (_, i) => call(n * EACH + i)),
      ),
    );
    // The first half is folded, so that the other lies in the inbox.
    await system.deliver(messages.filter((_, n) => n % 2 === 0));
    await folded();
    await system.deliver(messages.filter((_, n) => n % 2 === 1));
    const file = async () => {
      const response = await system.call(`/api/usage/export?from=${start}`, {
        headers: { authorization: `Bearer ${system.jwt()}` },
      });
      assert.equal(response.status, 200);
      const [head, ...lines] = (await response.text()).trim().split(/\r?\n/);
      const column = head.split(",").indexOf("id");
      return lines.map((line) => line.split(",")[column]);
    };
    const wanted = [...ids].reverse();
    const before = Date.now();
    assert.deepEqual(await file(), wanted);
    t.diagnostic(`${CALLS} calls in ${Date.now() - before} ms`);
    const [during] = await Promise.all([file(), system.cron()]);
    assert.deepEqual(during, wanted);
    await folded();
    assert.equal(await segments("sum(calls)"), CALLS);
    assert.ok((await segments()) > 1);
    assert.deepEqual(await file(), wanted);
    assert.equal(await system.usage.calls(), CALLS);
  });
});
