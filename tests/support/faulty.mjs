// Wraps a built Worker in the tests: its KV, queue and database keep production's limits (strict.mjs), can be made to
// fail or be slow, and count their calls. Everything is passed on to the real bindings; the Worker knows nothing of it.
import { WorkerEntrypoint } from "cloudflare:workers";
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

const faults = {};
const counts = { kv_get: 0, kv_put: 0, queue: 0, d1: 0, d1_rows_written: 0, limiter: 0 };
const location = new Location();
const writes = new Writes();

async function pass(kind, forward) {
  counts[kind] += 1;
  const fault = faults[kind];
  if (fault?.delay_ms) await new Promise((resolve) => setTimeout(resolve, fault.delay_ms));
  if (fault?.fail) throw new Error("made to fail: secret-inner-text");
  return forward();
}

// The `worker` crate checks the class's name.
class KvNamespace {
  constructor(real, invocation, { strict, accepts }) {
    const operation = (kind, subject, forward) => {
      invocation.take("kv_operations", subject);
      return pass(kind, () => invocation.connected(forward));
    };
    const read = (method, key, options) => {
      const { type = "text", cacheTtl = LIMITS.kv_cache_ttl_s } =
        typeof options === "string" ? { type: options } : (options ?? {});
      const forward = () => noting("kv", String(key), () => real[method](key, options));
      // Reads of many keys, streams and buffers are not cached; the runtime refuses invalid options.
      if (typeof key !== "string" || !["text", "json"].includes(type) || !(cacheTtl >= 30))
        return operation("kv_get", String(key), forward);
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

/** Counts the rows that a statement wrote. */
function wrote(sql, { meta }) {
  counts.d1_rows_written += meta?.rows_written ?? 0;
  noteRows(sql, meta?.rows_written ?? 0);
}

class Statement {
  /** @type {any} */ real;
  /** @type {string} */ sql;
  /** @type {any} */ invocation;
  /** @type {any[]} */ values;
  constructor(real, sql, invocation, values = []) {
    Object.assign(this, { real, sql, invocation, values });
  }
  bind(...values) {
    return new Statement(this.real.bind(...values), this.sql, this.invocation, values);
  }
  async #query(forward) {
    checkValues(this.sql, this.values);
    this.invocation.take("d1_queries", this.sql);
    return pass("d1", () => noting("d1", this.sql, forward));
  }
  async all() {
    const result = await this.#query(() => this.real.all());
    wrote(this.sql, result);
    return result;
  }
  run() {
    return this.all();
  }
  async first(column) {
    const row = (await this.all()).results[0] ?? null;
    return column === undefined ? row : (row?.[column] ?? null);
  }
  raw(...args) {
    return this.#query(() => this.real.raw(...args));
  }
}
class D1Database {
  constructor(real, invocation) {
    this.prepare = (sql) => new Statement(real.prepare(sql), sql, invocation);
    this.batch = async (statements) => {
      invocation.take("d1_queries", statements[0]?.sql, statements.length);
      for (const { sql, values } of statements) checkValues(sql, values);
      const forward = () =>
        noting("d1", statements[0]?.sql, () => real.batch(statements.map((statement) => statement.real)));
      const results = await pass("d1", forward);
      for (const [i, result] of results.entries()) wrote(statements[i].sql, result);
      return results;
    };
  }
}
class DurableObjectNamespace {
  constructor(real) {
    this.idFromName = (name) => real.idFromName(name);
    this.get = (id) => {
      const object = real.get(id);
      return { fetch: (...args) => pass("limiter", () => object.fetch(...args)) };
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

const wrappers = {
  TOKENS: KvNamespace,
  USAGE: WorkerQueue,
  USAGE_DLQ: WorkerQueue,
  DB: D1Database,
  LIMITER: DurableObjectNamespace,
  METRICS: AnalyticsEngineDataset,
};

/** The test's settings for this Worker: `kvLateMs`, `disturbance`. */
const settings = (env) => ({
  kvLateMs: 0,
  disturbance: 0,
  ...JSON.parse(env.STRICT ?? "{}"),
  ...faults.strict,
});

/** Wraps the bindings of one invocation. */
function wrap(env) {
  const invocation = new Invocation();
  // Both versions of a Worker write the same keys, so the system keeps the times of writes for both if it can.
  const ask = async (key) => (await env.WRITES.fetch("http://writes/", { method: "POST", body: key })).ok;
  const how = { strict: settings(env), accepts: env.WRITES ? ask : (key) => writes.accepts(key) };
  const replaced = Object.entries(wrappers)
    .filter(([name]) => env[name])
    .map(([name, Wrapper]) => [name, new Wrapper(env[name], invocation, how)]);
  return { ...env, ...Object.fromEntries(replaced) };
}

/** A Durable Object that is reset by the platform's own means if a request asks for it. */
export const restartable = (Base) =>
  class extends Base {
    #state;
    constructor(state, env) {
      super(state, env);
      this.#state = state;
    }
    fetch(request) {
      if (request.headers.has("x-restart")) this.#state.abort("restarted by a test");
      return super.fetch(request);
    }
  };

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * The Worker `Base` with its bindings wrapped. `PUT /__faults` sets the faults and returns the counts, `/__strict`
 * returns the refusals. While `consumer.stopped` is set the queue's messages wait.
 */
export const faulty = (Base) =>
  class extends WorkerEntrypoint {
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/__strict") return Response.json(report());
      if (pathname === "/__faults") {
        Object.assign(faults, await request.json());
        return Response.json({ faults, counts });
      }
      const [, verb, token] = /^\/__(restart|limiter)\/(.+)$/.exec(pathname) ?? [];
      if (token) {
        const object = this.env.LIMITER.get(this.env.LIMITER.idFromName(token));
        if (verb === "limiter") return object.fetch(request);
        await object.fetch("https://limiter/", { headers: { "x-restart": "1" } }).catch(() => {});
        return new Response("restarted");
      }
      return new Base(this.ctx, wrap(this.env)).fetch(request);
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
        await new Base(this.ctx, wrap(this.env)).queue(batch);
      } catch (error) {
        console.error(String(error));
        batch.retryAll();
      }
    }
    scheduled(event) {
      return new Base(this.ctx, wrap(this.env)).scheduled(event);
    }
  };
