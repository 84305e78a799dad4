// Stands between a Worker and its KV or queue in the tests: passes every call on to the real one,
// counts it, and fails or delays it when told to. The Workers know nothing of it.
import { WorkerEntrypoint } from "cloudflare:workers";

const faults = { kv_get: null, kv_put: null, queue: null };
const counts = { kv_get: 0, kv_put: 0, queue: 0 };

async function pass(kind, forward) {
  counts[kind] += 1;
  const fault = faults[kind];
  if (fault?.delay_ms) await new Promise((resolve) => setTimeout(resolve, fault.delay_ms));
  if (fault?.fail) throw new Error("made to fail: secret-inner-text");
  return forward();
}

export default class Faulty extends WorkerEntrypoint {
  get(key, options) {
    return pass("kv_get", () => this.env.REAL_KV.get(key, options));
  }
  getWithMetadata(key, options) {
    return pass("kv_get", () => this.env.REAL_KV.getWithMetadata(key, options));
  }
  put(key, value, options) {
    return pass("kv_put", () => this.env.REAL_KV.put(key, value, options));
  }
  delete(key) {
    return pass("kv_put", () => this.env.REAL_KV.delete(key));
  }
  list(options) {
    return pass("kv_get", () => this.env.REAL_KV.list(options));
  }
  send(body, options) {
    return pass("queue", () => this.env.REAL_QUEUE.send(body, options));
  }
  sendBatch(messages, options) {
    return pass("queue", () => this.env.REAL_QUEUE.sendBatch(messages, options));
  }
  async fetch(request) {
    if (request.method === "PUT") Object.assign(faults, await request.json());
    return Response.json({ faults, counts });
  }
}
