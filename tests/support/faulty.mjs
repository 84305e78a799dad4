// Wraps a built Worker in the tests so that its KV, queue and database can be told to fail or be slow,
// and counts the calls. Everything is passed on to the real bindings; the Worker knows nothing of it.
import { WorkerEntrypoint } from "cloudflare:workers";

const faults = {};
/** When each key was last written, for `kv_put: { once_a_second: true }`. */
const written = new Map();
const counts = { kv_get: 0, kv_put: 0, queue: 0, d1: 0, d1_rows_written: 0, limiter: 0 };

async function pass(kind, forward) {
  counts[kind] += 1;
  const fault = faults[kind];
  if (fault?.delay_ms) await new Promise((resolve) => setTimeout(resolve, fault.delay_ms));
  if (fault?.fail) throw new Error("made to fail: secret-inner-text");
  return forward();
}

// The `worker` crate looks at the class's name.
class KvNamespace {
  constructor(real) {
    this.get = (...args) => pass("kv_get", () => real.get(...args));
    this.getWithMetadata = (...args) => pass("kv_get", () => real.getWithMetadata(...args));
    this.list = (...args) => pass("kv_get", () => real.list(...args));
    this.put = (key, ...args) =>
      pass("kv_put", () => {
        if (faults.kv_put?.once_a_second) {
          if (Date.now() - (written.get(key) ?? 0) < 1_000) throw new Error("KV PUT failed: 429 Too Many Requests");
          written.set(key, Date.now());
        }
        return real.put(key, ...args);
      });
    this.delete = (...args) => pass("kv_put", () => real.delete(...args));
  }
}
class WorkerQueue {
  constructor(real) {
    this.send = (...args) => pass("queue", () => real.send(...args));
    this.sendBatch = (...args) => pass("queue", () => real.sendBatch(...args));
  }
}
class Statement {
  constructor(real) {
    this.real = real;
  }
  bind(...values) {
    return new Statement(this.real.bind(...values));
  }
  first(...args) {
    return pass("d1", () => this.real.first(...args));
  }
  all(...args) {
    return pass("d1", () => this.real.all(...args));
  }
  run(...args) {
    return pass("d1", () => this.real.run(...args));
  }
  raw(...args) {
    return pass("d1", () => this.real.raw(...args));
  }
}
class D1Database {
  constructor(real) {
    this.prepare = (sql) => new Statement(real.prepare(sql));
    this.batch = async (statements) => {
      const results = await pass("d1", () => real.batch(statements.map((statement) => statement.real)));
      for (const { meta } of results) counts.d1_rows_written += meta?.rows_written ?? 0;
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

/** Says what it is given, as the local runtime keeps nothing of it. */
class AnalyticsEngineDataset {
  constructor(real) {
    this.writeDataPoint = (metrics) => {
      console.log(JSON.stringify({ metrics }));
      real.writeDataPoint(metrics);
    };
  }
}

const wrappers = { TOKENS: KvNamespace, USAGE: WorkerQueue, DB: D1Database, LIMITER: DurableObjectNamespace, METRICS: AnalyticsEngineDataset };

function wrap(env) {
  const replaced = Object.entries(wrappers)
    .filter(([name]) => env[name])
    .map(([name, Wrapper]) => [name, new Wrapper(env[name])]);
  return { ...env, ...Object.fromEntries(replaced) };
}

/** A Durable Object that is reset by the platform's own means where a request asks for it. */
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

/** The Worker `Base` with its bindings wrapped. `PUT /__faults` sets what fails and answers the counts. */
export const faulty = (Base) =>
  class extends WorkerEntrypoint {
    async fetch(request) {
      if (new URL(request.url).pathname === "/__faults") {
        Object.assign(faults, await request.json());
        return Response.json({ faults, counts });
      }
      const [, verb, token] = /^\/__(restart|limiter)\/(.+)$/.exec(new URL(request.url).pathname) ?? [];
      if (token) {
        const object = this.env.LIMITER.get(this.env.LIMITER.idFromName(token));
        if (verb === "limiter") return object.fetch(request);
        await object.fetch("https://limiter/", { headers: { "x-restart": "1" } }).catch(() => {});
        return new Response("restarted");
      }
      return new Base(this.ctx, wrap(this.env)).fetch(request);
    }
    queue(batch) {
      return new Base(this.ctx, wrap(this.env)).queue(batch);
    }
    scheduled(event) {
      return new Base(this.ctx, wrap(this.env)).scheduled(event);
    }
  };
