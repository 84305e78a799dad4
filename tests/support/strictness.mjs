// The side of the strict harness that runs in Node: the modules in front of the Workers, the Workers beside them,
// and the check at the end that no limit was hit unexpectedly.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Response } from "miniflare";
import { root } from "../../scripts/setup.mjs";
import { Writes } from "./strict.mjs";

const support = path.join(root, "tests/support");
const NAMES = { gateway: "token-manager-gateway", "admin-api": "token-manager-admin-api" };

/** The default delay with which KV shows a write, and the default chance that a batch of the queue is disturbed. */
export const DEFAULTS = { kvLateMs: 500, disturbance: 0.3 };

/** Makes the modules that put the limits in front of a Worker whose build is in `folder`. */
function entries(env, folder) {
  const name = path.join(support, `strict-${env}.mjs`);
  const build = path.relative(support, path.join(folder, env, "build"));
  const module = (file) => ({ type: "ESModule", path: path.join(support, file) });
  const contents = readFileSync(name, "utf8").replace(`../../${env}/build`, build);
  return [
    { type: "ESModule", path: name, contents },
    ...["crossings.mjs", "faulty.mjs", "strict.mjs"].map(module),
  ];
}

/** The options of `startWorkers` that keep both Workers, and every version of them, to production's limits. */
export function strictOptions() {
  const writes = new Writes();
  const WRITES = async (request) => {
    const key = await request.text();
    if (new URL(request.url).pathname === "/age") return new Response(String(writes.age(key)));
    return new Response(null, { status: writes.accepts(key) ? 204 : 429 });
  };
  return { entries, services: { WRITES } };
}

/** The variable that tells the Workers in front the test's settings. */
export const strictVars = (settings) => ({ STRICT: JSON.stringify({ ...DEFAULTS, ...settings }) });

/** Writes a wrangler.toml with the limits in front of each Worker, for wrangler's test harness. Returns its path. */
export function strictConfig() {
  const folder = path.join(root, ".wrangler/strict");
  const toml = readFileSync(path.join(root, "wrangler.toml"), "utf8")
    .replaceAll(
      /^main = "(.*)\/build\/index.js"$/gm,
      (_, env) => `main = "${path.join(support, `strict-${env}.mjs`)}"`,
    )
    .replaceAll(/^command = /gm, `cwd = "${root}"\ncommand = `);
  assert.equal(toml.split(support).length - 1, Object.keys(NAMES).length, "a Worker has no limits");
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, "wrangler.toml");
  // Replace it in one step, because another test file may be reading it.
  const fresh = `${file}.${process.pid}`;
  writeFileSync(fresh, toml);
  renameSync(fresh, file);
  return file;
}

/**
 * `strictness()` returns the refusals so far by kind, with the first subject of each and the number without a later
 * success; the rows that each statement wrote; and the most connections open at once. `expects(…)` names kinds that this
 * test hits on purpose; `stopWatching` fails for every other. `workers` are functions by name that send a request to a Worker.
 */
export function watch(workers, expected = []) {
  const kinds = new Set(expected);
  const strictness = async () => {
    const all = { refused: {}, rows: {}, open_connections: 0 };
    for (const [name, ask] of Object.entries(workers)) {
      // A Worker that a test has killed cannot report.
      const report = await ask("/__strict")
        .then((response) => response.json())
        .catch(() => undefined);
      for (const [kind, { count, unresolved, first }] of Object.entries(report?.refused ?? {})) {
        const sum = (all.refused[kind] ??= { count: 0, unresolved: 0, first: `${name}: ${first}` });
        sum.count += count;
        sum.unresolved += unresolved;
      }
      for (const [sql, rows] of Object.entries(report?.rows ?? {}))
        all.rows[sql] = (all.rows[sql] ?? 0) + rows;
      all.open_connections = Math.max(all.open_connections, report?.open_connections ?? 0);
    }
    return all;
  };
  return {
    strictness,
    expects: (...more) => more.forEach((kind) => kinds.add(kind)),
    /** Stops the system with `stop`, then fails if an unexpected limit was hit. */
    async stopWatching(stop) {
      const { refused } = await strictness();
      await stop();
      const unexpected = Object.entries(refused).filter(
        ([kind, { unresolved }]) => unresolved > 0 && !kinds.has(kind),
      );
      assert.deepEqual(Object.fromEntries(unexpected), {}, "production would have refused this");
    },
  };
}

/** The Worker of front.mjs, which calls the gateway and hangs up. */
export const front = (port) => ({
  name: "front",
  compatibilityDate: "2026-11-01",
  modulesRoot: support,
  modules: [{ type: "ESModule", path: path.join(support, "front.mjs") }],
  serviceBindings: { gateway: "gateway" },
  unsafeDirectSockets: [{ host: "127.0.0.1", port }],
});

/** The harness's calls through that Worker, at this address. */
export function hangingUp(front) {
  const ask = async (asked) => {
    const response = await fetch(front, { method: "POST", body: JSON.stringify(asked) });
    if (!response.ok) throw new Error(`front: ${await response.text()}`);
    return response.json();
  };
  let calls = 0;
  return {
    /**
     * Calls and hangs up: after this many ms, bytes of the response (0: as soon as it begins) or bytes of the upload, or
     * when a promise resolves. `init.upload` is `{ bytes, pieces, everyMs }`. Returns what had arrived by then:
     * `{ status, bytes, hung_up }`.
     * @param {string} where
     * @param {Record<string, any>} [init]
     * @param {{ afterMs?: number, afterBytes?: number, afterSent?: number, when?: Promise<any> }} [moment]
     */
    hangUp: async (where, init = {}, { when, ...moment } = {}) => {
      const number = when && (calls += 1);
      const call = ask({ where, ...init, ...moment, number });
      if (when) await Promise.race([when.then(() => ask({ tell: number })), call]);
      return call;
    },
    /** Makes many calls, `atOnce` at a time, each of which hangs up within `withinMs`. Their ids are `ids` and a number. */
    hangUps: (where, init, { calls, atOnce, withinMs, ids }) =>
      ask({ where, ...init, calls, atOnce, withinMs, ids }),
  };
}

/** Makes a Worker that stores the messages of the dead-letter queue in `letters`, as text. */
export const deadLetters = (letters) => ({
  name: "dead-letters",
  compatibilityDate: "2026-11-01",
  modules: true,
  queueConsumers: { "token-manager-usage-dlq": { maxBatchSize: 100, maxBatchTimeout: 0 } },
  serviceBindings: {
    KEEP: async (request) => {
      letters.push(...(await request.json()));
      return new Response(null, { status: 204 });
    },
  },
  script: `export default { queue: (batch, env) =>
    env.KEEP.fetch("http://keep/", { method: "POST", body: JSON.stringify(batch.messages.map(({ body }) => body)) }) };`,
});
