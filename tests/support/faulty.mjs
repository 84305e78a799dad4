// Wraps a built Worker in the tests: its KV, queue, databases and bucket keep production's limits (strict.mjs), can be
// made to fail or be slow, and count their calls. Everything is passed on to the real bindings; the Worker knows nothing of it.
import { WorkerEntrypoint } from "cloudflare:workers";
import { crossings } from "./crossings.mjs";
import {
  Invocation,
  LIMITS,
  Location,
  Writes,
  checkMessages,
  checkValues,
  checkWrite,
  disturb,
  noteRows,
  noting,
  report,
  unacknowledged,
} from "./strict.mjs";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** By kind: `fail`, `delay_ms` before it is carried out, `late_ms` between that and its response. */
const faults = {};
/** `d1` is both databases, `db` and `usage_db` each of them. A fault of `d1` makes both fail. */
const counts = {
  kv_get: 0,
  kv_put: 0,
  queue: 0,
  d1: 0,
  d1_rows_written: 0,
  db: 0,
  db_rows_written: 0,
  usage_db: 0,
  usage_db_rows_written: 0,
  r2_get: 0,
  r2_put: 0,
  limiter: 0,
  limiter_rows_written: 0,
  feed: 0,
  gateway: 0,
};
const location = new Location();
const writes = new Writes();

async function pass(kinds, forward) {
  let lateMs = 0;
  for (const kind of [kinds].flat()) {
    counts[kind] += 1;
    const { delay_ms = 0, late_ms = 0, fail = false } = faults[kind] ?? {};
    if (delay_ms > 0) await sleep(delay_ms);
    if (fail) throw new Error("made to fail: secret-inner-text");
    lateMs += late_ms;
  }
  const result = await forward();
  if (lateMs > 0) await sleep(lateMs);
  return result;
}

// The `worker` crate checks the class's name.
class KvNamespace {
  constructor(real, invocation, { strict, accepts, age }) {
    const operation = (kind, subject, forward) => {
      invocation.take("kv_operations", subject);
      return pass(kind, () => invocation.connected(forward));
    };
    const read = (method, key, options) => {
      const { type = "text", cacheTtl = LIMITS.kv_cache_ttl_s } =
        typeof options === "string" ? { type: options } : (options ?? {});
      const stored = () => noting("kv", String(key), () => real[method](key, options));
      // A write that no location sees before its time.
      const isLate = async () => strict.kvDelayMs > 0 && (await age(key)) < strict.kvDelayMs;
      const forward = async () => ((await isLate()) ? location.known(`${method} ${type} ${key}`) : stored());
      // Reads of many keys, streams and buffers are not cached; the runtime refuses invalid options.
      if (typeof key !== "string" || !["text", "json"].includes(type) || !(cacheTtl >= 30))
        return operation("kv_get", String(key), stored);
      const forMs = Math.min(cacheTtl * 1_000, strict.kvLateMs);
      return operation("kv_get", key, () => location.read(`${method} ${type} ${key}`, forMs, forward));
    };
    const write = (verb, key, forward) =>
      operation("kv_put", key, async () => {
        checkWrite(await accepts(key), verb, key);
        return noting("kv", key, forward);
      });
    this.get = (key, options) => read("get", key, options);
    this.getWithMetadata = (key, options) => read("getWithMetadata", key, options);
    this.list = (options) =>
      operation("kv_get", "list", () =>
        location.read(`list ${JSON.stringify(options)}`, strict.kvLateMs, () =>
          noting("kv", "list", () => real.list(options)),
        ),
      );
    this.put = (key, ...args) => write("PUT", key, () => real.put(key, ...args));
    this.delete = (key) => write("DELETE", key, () => real.delete(key));
  }
}
class WorkerQueue {
  constructor(real, invocation) {
    const operation = (bodies, forward) =>
      pass("queue", () => {
        checkMessages(bodies);
        return invocation.connected(() => noting("queue", `${bodies.length} messages`, forward));
      });
    this.send = (body, options) => operation([body], () => real.send(body, options));
    this.sendBatch = (messages, options) => {
      const all = [...messages];
      return operation(
        all.map(({ body }) => body),
        () => real.sendBatch(all, options),
      );
    };
  }
}

class R2Bucket {
  constructor(real, invocation) {
    const operation = (kind, method) =>
      (this[method] = (...args) => {
        invocation.take("r2_operations", String(args[0]));
        return pass(kind, () => invocation.connected(() => real[method](...args)));
      });
    for (const method of ["get", "head", "list"]) operation("r2_get", method);
    for (const method of ["put", "delete"]) operation("r2_put", method);
  }
}

/** One database for its statements: the kinds under which it is counted and fails, and the invocation. */
class Queries {
  #invocation;
  #kinds;
  constructor(binding, invocation) {
    this.#invocation = invocation;
    this.#kinds = ["d1", binding.toLowerCase()];
  }
  pass(statements, forward) {
    for (const { sql, values } of statements) checkValues(sql, values);
    this.#invocation.take("d1_queries", statements[0]?.sql, statements.length);
    return pass(this.#kinds, () => noting("d1", statements[0]?.sql, forward));
  }
  /** Counts the rows that a statement wrote. */
  wrote(sql, { meta }) {
    for (const kind of this.#kinds) counts[`${kind}_rows_written`] += meta?.rows_written ?? 0;
    noteRows(sql, meta?.rows_written ?? 0);
  }
}

class Statement {
  /** @type {any} */ real;
  /** @type {string} */ sql;
  /** @type {Queries} */ queries;
  /** @type {any[]} */ values;
  constructor(real, sql, queries, values = []) {
    Object.assign(this, { real, sql, queries, values });
  }
  bind(...values) {
    return new Statement(this.real.bind(...values), this.sql, this.queries, values);
  }
  async all() {
    const result = await this.queries.pass([this], () => this.real.all());
    this.queries.wrote(this.sql, result);
    return result;
  }
  run() {
    return this.all();
  }
  async first(column) {
    const row = (await this.all()).results[0] ?? null;
    return column === undefined ? row : (row?.[column] ?? null);
  }
  async raw(...args) {
    return this.queries.pass([this], () => this.real.raw(...args));
  }
}
class D1Database {
  constructor(real, invocation, { binding }) {
    const queries = new Queries(binding, invocation);
    this.prepare = (sql) => new Statement(real.prepare(sql), sql, queries);
    this.batch = async (statements) => {
      const results = await queries.pass(statements, () =>
        real.batch(statements.map((statement) => statement.real)),
      );
      for (const [i, result] of results.entries()) queries.wrote(statements[i].sql, result);
      return results;
    };
  }
}
class DurableObjectNamespace {
  constructor(real, _, { binding }) {
    this.idFromName = (name) => real.idFromName(name);
    this.get = (id) => {
      const object = real.get(id);
      return { fetch: (...args) => pass(binding.toLowerCase(), () => object.fetch(...args)) };
    };
  }
}

/** Another Worker of ours, bound as a service. An invocation may call it 32 times at most. */
class Fetcher {
  constructor(real, invocation, { binding }) {
    this.fetch = (...args) => {
      invocation.take("worker_invocations", binding);
      return pass(binding.toLowerCase(), () => invocation.connected(() => real.fetch(...args)));
    };
  }
}

/** Prints its data points, since the local runtime keeps none of them. */
class AnalyticsEngineDataset {
  constructor(real) {
    this.writeDataPoint = (metrics) => {
      console.log(JSON.stringify({ metrics }));
      real.writeDataPoint(metrics);
    };
  }
}

/** @type {Record<string, any>} */
const wrappers = {
  TOKENS: KvNamespace,
  USAGE: WorkerQueue,
  USAGE_DLQ: WorkerQueue,
  DB: D1Database,
  USAGE_DB: D1Database,
  CALLS: R2Bucket,
  LIMITER: DurableObjectNamespace,
  FEED: DurableObjectNamespace,
  GATEWAY: Fetcher,
  METRICS: AnalyticsEngineDataset,
};

/** The test's settings for this Worker: `kvLateMs`, `kvDelayMs`, `disturbance`. */
const settings = (env) => ({
  kvLateMs: 0,
  kvDelayMs: 0,
  disturbance: 0,
  ...JSON.parse(env.STRICT ?? "{}"),
  ...faults.strict,
});

/** Wraps the bindings of one invocation. */
function wrap(env) {
  const invocation = new Invocation();
  // Both versions of a Worker write the same keys, so the system keeps the times of writes for both if it can.
  const ask = (where, key) => env.WRITES.fetch(`http://writes${where}`, { method: "POST", body: key });
  const how = {
    strict: settings(env),
    accepts: env.WRITES ? async (key) => (await ask("/", key)).ok : (key) => writes.accepts(key),
    age: async (key) => Number(await (await ask("/age", key)).text()),
  };
  const replaced = Object.entries(wrappers)
    .filter(([name]) => env[name])
    .map(([name, Wrapper]) => [name, new Wrapper(env[name], invocation, { ...how, binding: name })]);
  return { ...env, ...Object.fromEntries(replaced) };
}

/** `target` with some of its members replaced. The platform's methods insist on their own object. */
const replacing = (target, members) =>
  new Proxy(target, {
    get: (_, name) => {
      if (name in members) return members[name];
      const value = target[name];
      return typeof value === "function" ? value.bind(target) : value;
    },
  });

/** The state of a limiter's object whose written rows are counted. An alarm is a row. */
export function counted(state) {
  const { storage } = state;
  const exec = (query, ...bindings) => {
    const cursor = storage.sql.exec(query, ...bindings);
    if (query.startsWith("INSERT")) counts.limiter_rows_written += 1;
    return cursor;
  };
  const setAlarm = (...args) => {
    counts.limiter_rows_written += 1;
    return storage.setAlarm(...args);
  };
  return replacing(state, {
    storage: replacing(storage, { sql: replacing(storage.sql, { exec }), setAlarm }),
  });
}

/** A Durable Object that is reset by the platform's own means if a request asks for it, on the state that `wrapped` makes. */
export const restartable = (Base, wrapped = (state) => state) =>
  class extends Base {
    #state;
    constructor(state, env) {
      super(wrapped(state), env);
      this.#state = state;
    }
    fetch(request) {
      if (request.headers.has("x-restart")) this.#state.abort("restarted by a test");
      return super.fetch(request);
    }
  };

/**
 * The Worker `Base` with its bindings wrapped. `PUT /__faults` sets the faults and returns the counts, `/__strict`
 * returns the refusals, `/__wasm` the memory and the crossings (crossings.mjs). While `consumer.stopped` is set the queue's messages wait.
 */
export const faulty = (Base) => {
  /** One invocation of the Worker: a class, or an object whose handlers take the environment and the context. */
  const invoke = (ctx, env) =>
    typeof Base === "function" ? new Base(ctx, env) : { fetch: (request) => Base.fetch(request, env, ctx) };
  return class extends WorkerEntrypoint {
    async fetch(request) {
      const pathname = URL.parse(request.url)?.pathname ?? "";
      if (pathname === "/__strict") return Response.json(report());
      if (pathname === "/__wasm") return Response.json(crossings());
      if (pathname === "/__faults") {
        Object.assign(faults, await request.json());
        return Response.json({ faults, counts });
      }
      if (pathname === "/__feed" || pathname === "/__restart-feed") {
        const feed = this.env.FEED.get(this.env.FEED.idFromName("changes"));
        if (pathname === "/__feed") return feed.fetch(request);
        await feed.fetch("https://feed/", { headers: { "x-restart": "1" } }).catch(() => {});
        return new Response("restarted");
      }
      const [, verb, token] = /^\/__(restart|limiter)\/(.+)$/.exec(pathname) ?? [];
      if (token) {
        const object = this.env.LIMITER.get(this.env.LIMITER.idFromName(token));
        if (verb === "limiter") return object.fetch(request);
        await object.fetch("https://limiter/", { headers: { "x-restart": "1" } }).catch(() => {});
        return new Response("restarted");
      }
      return invoke(this.ctx, wrap(this.env)).fetch(request);
    }
    async queue(batch) {
      while (faults.consumer?.stopped) await sleep(50);
      for (const { messages, isLost } of disturb([...batch.messages], settings(this.env).disturbance)) {
        await this.#deliver(batch.queue, isLost ? messages.map(unacknowledged) : messages);
      }
    }
    /** Delivers a batch as a separate invocation; one that fails is delivered again, unless it was acknowledged before. */
    async #deliver(queue, messages) {
      const all = (verb) => (options) => messages.forEach((message) => message[verb](options));
      const batch = { queue, messages, ackAll: all("ack"), retryAll: all("retry") };
      try {
        await invoke(this.ctx, wrap(this.env)).queue(batch);
      } catch (error) {
        console.error(String(error));
        batch.retryAll();
      }
    }
    scheduled(event) {
      return invoke(this.ctx, wrap(this.env)).scheduled(event);
    }
  };
};
