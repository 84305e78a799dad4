// The change feed: several isolates of the gateway see each change within five seconds of "published" while KV takes a
// minute to show it. FEED_CHANGES=200 makes a longer run, with an idle minute.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import WebSocket from "ws";
import { as, sleep, startOnSockets } from "../support/harness.mjs";
import { DEFAULTS } from "../support/strictness.mjs";
import { deriveToken } from "../support/tokens.mjs";

const CHANGES = Number(process.env.FEED_CHANGES ?? 30);
const IDLE_MS = CHANGES > 30 ? 60_000 : 7_000;
/** What the documents promise. */
const BOUND_MS = 5_000;
const POLL_MS = 2_000;
const DERIVE_KEY = Buffer.alloc(32, 7).toString("base64");

/** Only the gateways' reads are late: each location goes on showing what it has read, or nothing. */
const LATE = { STRICT: JSON.stringify({ ...DEFAULTS, kvDelayMs: 60_000 }) };

let system;
/** Addresses of the gateway's isolates by name. */
let isolates;

before(async () => {
  system = await startOnSockets({
    gatewayVars: { ...LATE, LOG_CALLS: "true", DERIVE_KEY },
    versions: [{ name: "two" }, { name: "three" }],
  });
  isolates = {
    gateway: system.urls.gateway,
    "gateway-two": system.versions.two.gateway,
    "gateway-three": system.versions.three.gateway,
  };
});
after(() => system?.stop());

const everywhere = (work) => Promise.all(Object.entries(isolates).map(([name, url]) => work(url, name)));

async function call(url, token, where) {
  const response = await fetch(url + where, { headers: { "x-api-key": token } });
  const text = await response.text();
  return { status: response.status, path: response.status === 200 ? JSON.parse(text).path : undefined };
}

async function changed(method, where, body, headers) {
  const answer = await as(system, "admin", method, where, body, headers);
  assert.ok(answer.status < 300, `${method} ${where}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

const newRoute = (path, to) =>
  changed("POST", "/api/routes", { name: path, path, backend_url: `${system.upstream.url}/echo/${to}` });
const newToken = () =>
  changed("POST", "/api/tokens", { name: "t", team_id: "automation", scopes: ["*"], may_derive: true });

/** Changes a row, if it is still as it was. */
async function replace(where, body) {
  const { headers } = await as(system, "admin", "GET", where);
  return changed("PUT", where, body, { "if-match": headers.get("etag") });
}

/** Calls all isolates until each has once answered as it should. Returns the longest time that one took. */
async function seenEverywhere(what, isSeen, since = Date.now()) {
  const times = await everywhere(async (url, name) => {
    for (;;) {
      const at = Date.now();
      if (await isSeen(url)) {
        // What was seen once stays.
        for (let i = 0; i < 3; i++) assert.ok(await isSeen(url), `${name}: ${what} is undone`);
        return at - since;
      }
      assert.ok(at - since < 20_000, `${name} does not see ${what}`);
      await sleep(50);
    }
  });
  return Math.max(...times);
}

/** The kinds of change. Each prepares, makes the change, and returns how it is recognised. */
let made = 0;
const KINDS = {
  revoke: async () => {
    const { id, token } = await ready();
    return async () => {
      await changed("DELETE", `/api/tokens/${id}`);
      return async (url) => (await call(url, token, "/api/fixed")).status === 401;
    };
  },
  "revoke of a derived token's parent": async () => {
    const { id, token } = await ready();
    const child = deriveToken(token, DERIVE_KEY);
    return async () => {
      await everywhere(async (url) => assert.equal((await call(url, child, "/api/fixed")).status, 200));
      await changed("DELETE", `/api/tokens/${id}`);
      return async (url) => (await call(url, child, "/api/fixed")).status === 401;
    };
  },
  disable: async () => {
    const { id, token } = await ready();
    return async () => {
      await changed("POST", `/api/tokens/${id}/disable`);
      return async (url) => (await call(url, token, "/api/fixed")).status === 401;
    };
  },
  "narrowed scope": async () => {
    const { id, token } = await ready();
    return async () => {
      await replace(`/api/tokens/${id}`, { scopes: ["elsewhere"] });
      return async (url) => (await call(url, token, "/api/fixed")).status === 403;
    };
  },
  "changed route": async () => {
    const to = `changed-${++made}`;
    return async () => {
      await replace(`/api/routes/${moving.id}`, { backend_url: `${system.upstream.url}/echo/${to}` });
      return async (url) => (await call(url, steady.token, "/api/moving")).path === `/echo/${to}`;
    };
  },
  "new token": async () => async () => {
    const { token } = await newToken();
    return async (url) => (await call(url, token, "/api/fixed")).status === 200;
  },
  "new route": async () => async () => {
    const path = `/api/new-${++made}`;
    await newRoute(path, "new");
    return async (url) => (await call(url, steady.token, path)).status === 200;
  },
};

/** A token that works everywhere. */
async function ready() {
  const made = await newToken();
  await seenEverywhere(
    "a new token",
    async (url) => (await call(url, made.token, "/api/fixed")).status === 200,
  );
  return made;
}

let steady;
let moving;
test("the first route and the first token work everywhere while KV shows neither", async (t) => {
  await newRoute("/api/fixed", "fixed");
  moving = await newRoute("/api/moving", "first");
  steady = await newToken();
  const took = await seenEverywhere(
    "the first token",
    async (url) => (await call(url, steady.token, "/api/moving")).status === 200,
  );
  t.diagnostic(`after ${took} ms`);
  assert.ok(took < BOUND_MS, `${took} ms`);
});

/** Calls every isolate all the time. Nothing is refused meanwhile. `stop` returns the number of calls. */
function load() {
  let isOver = false;
  let calls = 0;
  const callers = everywhere(async (url, name) => {
    while (!isOver) {
      assert.equal((await call(url, steady.token, "/api/fixed")).status, 200, name);
      calls += 1;
      await sleep(20);
    }
  });
  return {
    stop: async () => {
      isOver = true;
      await callers;
      return calls;
    },
  };
}

test(`each of ${CHANGES} changes is seen by every isolate within five seconds, under load`, async (t) => {
  const worst = {};
  const background = load();
  for (let done = 0; done < CHANGES; done += Object.keys(KINDS).length) {
    await Promise.all(
      Object.entries(KINDS).map(async ([kind, prepare]) => {
        const change = await prepare();
        const isSeen = await change();
        const took = await seenEverywhere(kind, isSeen);
        worst[kind] = Math.max(worst[kind] ?? 0, took);
      }),
    );
  }
  const calls = await background.stop();
  for (const [kind, ms] of Object.entries(worst)) t.diagnostic(`${kind}: at most ${ms} ms after "published"`);
  t.diagnostic(`worst: ${Math.max(...Object.values(worst))} ms, during ${calls} other calls`);
  assert.ok(Math.max(...Object.values(worst)) < BOUND_MS, JSON.stringify(worst));
});

test(`after ${IDLE_MS / 1_000} idle seconds every isolate knows what has changed meanwhile`, async (t) => {
  const changes = await Promise.all(
    Object.entries(KINDS).map(async ([kind, prepare]) => ({ kind, change: await prepare() })),
  );
  await sleep(IDLE_MS);
  const made = await Promise.all(changes.map(async ({ kind, change }) => ({ kind, isSeen: await change() })));
  const times = await Promise.all(made.map(({ kind, isSeen }) => seenEverywhere(kind, isSeen)));
  t.diagnostic(`${made.map(({ kind }, i) => `${kind}: ${times[i]} ms`).join(", ")}`);
  assert.ok(Math.max(...times) < BOUND_MS, `${times} ms`);
});

const countsOf = async (name) => (await system.faults(name)).counts;

test("an isolate polls at most once in two seconds, and reads KV for hardly a call", async (t) => {
  for (const atOnce of [1, 16]) {
    const [before, started] = [await countsOf("gateway"), Date.now()];
    let calls = 0;
    while (Date.now() - started < 12_000) {
      await Promise.all(
        Array.from({ length: atOnce }, () => call(isolates.gateway, steady.token, "/api/fixed")),
      );
      calls += atOnce;
    }
    const seconds = (Date.now() - started) / 1_000;
    const counts = await countsOf("gateway");
    const [polls, reads] = [counts.feed - before.feed, counts.kv_get - before.kv_get];
    t.diagnostic(`${calls} calls in ${seconds} s: ${polls} polls, ${reads} reads of KV`);
    assert.ok(polls >= 3 && polls <= seconds / (POLL_MS / 1_000) + 1, `${polls} polls in ${seconds} s`);
    assert.ok(reads / calls <= 0.05, `${reads} reads for ${calls} calls`);
  }
});

test("a restarted feed has forgotten nothing", async () => {
  await fetch(`${isolates.gateway}/__restart-feed`);
  const { id, token } = await ready();
  await changed("DELETE", `/api/tokens/${id}`);
  await fetch(`${isolates.gateway}/__restart-feed`);
  const took = await seenEverywhere(
    "a revoke",
    async (url) => (await call(url, token, "/api/fixed")).status === 401,
  );
  assert.ok(took < BOUND_MS, `${took} ms`);
});

test("a socket of a revoked token is closed within ten seconds", async (t) => {
  const backend_url = `${system.upstream.url}/socket`;
  await changed("POST", "/api/routes", { name: "Socket", path: "/api/socket", backend_url });
  const { id, token } = await ready();
  const headers = { "x-api-key": token };
  const sockets = await everywhere(async (url) => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/api/socket`, { headers });
    await once(socket, "open");
    return socket;
  });
  const closed = sockets.map(async (socket) => [(await once(socket, "close"))[0], Date.now()]);
  await changed("DELETE", `/api/tokens/${id}`);
  const revoked = Date.now();
  for (const [code, at] of await Promise.all(closed)) {
    t.diagnostic(`after ${at - revoked} ms`);
    assert.deepEqual([code, at - revoked < 10_000], [1008, true]);
  }
});
