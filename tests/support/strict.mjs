// Production's limits that the local runtime lacks. Nothing here needs the Workers runtime.
// https://developers.cloudflare.com/kv/platform/limits/, …/d1/platform/limits/, …/queues/platform/limits/
export const LIMITS = {
  /** Reads, writes, deletes and lists together, per invocation. */
  kv_operations: 1_000,
  /** Queries of one invocation, to both databases together; each statement of a batch counts. */
  d1_queries: 1_000,
  /** Calls of a bucket, per invocation. */
  r2_operations: 1_000,
  /** Invocations of Workers by service bindings, the first one's own included. */
  worker_invocations: 32,
  /** The longest string or blob; locally, a longer one can be bound. */
  d1_value_bytes: 2_000_000,
  kv_write_interval_ms: 1_000,
  /** The time for which a location serves a value that it has read, unless the reader sets `cacheTtl`. */
  kv_cache_ttl_s: 60,
  queue_message_bytes: 128_000,
  queue_batch_messages: 100,
  queue_batch_bytes: 256_000,
  /** Connections that may wait for response headers at one time; more of them queue, so they are only counted. */
  open_connections: 6,
};

const refused = {};
const rows = {};
/** Keys with a refused write and no successful write since. */
const busyKeys = new Set();
let openConnections = 0;

/** Notes a refusal and returns its error. Each kind keeps its first subject. */
export function refuse(kind, subject, message) {
  refused[kind] ??= { count: 0, unresolved: 0, first: subject };
  refused[kind].count += 1;
  refused[kind].unresolved += 1;
  return new Error(message);
}

/** Refuses a write too soon after another of its key. The refusal is resolved when a later write is accepted. */
export function checkWrite(isAccepted, verb, key) {
  if (isAccepted) return busyKeys.delete(key);
  busyKeys.add(key);
  throw refuse("kv_writes_a_second", key, `KV ${verb} failed: 429 Too Many Requests`);
}

/** Returns the refusals by kind, the rows written by statement, and the most connections that one invocation had open. */
export function report() {
  if (refused.kv_writes_a_second) refused.kv_writes_a_second.unresolved = busyKeys.size;
  return { refused, rows, open_connections: openConnections };
}

/** Adds the rows that one statement wrote. */
export function noteRows(sql, written) {
  if (written > 0) rows[sql] = (rows[sql] ?? 0) + written;
}

/** Messages of the runtime's own refusals: sizes of keys, values, statements and lists, `expirationTtl`, `cacheTtl`. */
const ENFORCED =
  /exceeds|too (many|big|long|large)|Invalid (cache_ttl|expiration|expiration_ttl|key_count_limit) /i;

/** Runs `forward`, and notes a refusal by the runtime itself. */
export async function noting(kind, subject, forward) {
  try {
    return await forward();
  } catch (error) {
    if (ENFORCED.test(error.message)) refuse(`${kind}_size`, subject, error.message);
    throw error;
  }
}

/** The counters of one invocation: one `fetch`, one batch or one cron run, including its `waitUntil`. */
export class Invocation {
  #used = { kv_operations: 0, d1_queries: 0, r2_operations: 0, worker_invocations: 1 };
  #open = 0;

  take(kind, subject, count = 1) {
    this.#used[kind] += count;
    if (this.#used[kind] > LIMITS[kind])
      throw refuse(kind, subject, "Too many API requests by single worker invocation.");
  }

  async connected(forward) {
    this.#open += 1;
    openConnections = Math.max(openConnections, this.#open);
    try {
      return await forward();
    } finally {
      this.#open -= 1;
    }
  }
}

/** The times of the last writes by key, which refuse a second write within a second. */
export class Writes {
  #last = new Map();

  accepts(key, now = Date.now()) {
    const isFree = now - (this.#last.get(key) ?? 0) >= LIMITS.kv_write_interval_ms;
    if (isFree) {
      if (this.#last.size > 10_000) this.#last.clear();
      this.#last.set(key, now);
    }
    return isFree;
  }

  /** The time since a key was written, in ms. */
  age(key, now = Date.now()) {
    return now - (this.#last.get(key) ?? 0);
  }
}

/** The values that a location has read. Each, even an absent one, is served unchanged until its time is up. */
export class Location {
  #read = new Map();

  async read(id, forMs, forward) {
    const known = this.#read.get(id);
    if (known && known.until > Date.now()) return known.value;
    const until = Date.now() + forMs;
    const value = await forward();
    if (this.#read.size > 10_000) this.#read.clear();
    this.#read.set(id, { value, until });
    return value;
  }

  /** Returns what this location has last read, even if its time is up: null if nothing. */
  known(id) {
    return this.#read.get(id)?.value ?? null;
  }
}

const utf8 = new TextEncoder();

function bytes(value) {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return value.byteLength;
  return utf8.encode(typeof value === "string" ? value : (JSON.stringify(value) ?? "")).length;
}

/** Refuses values that D1 would not accept. */
export function checkValues(sql, values) {
  const largest = Math.max(0, ...values.map(bytes));
  if (largest > LIMITS.d1_value_bytes)
    throw refuse("d1_size", `${largest} bytes for ${sql}`, "D1_ERROR: string or blob too big: SQLITE_TOOBIG");
}

/** Refuses messages that Queues would not accept. */
export function checkMessages(bodies) {
  const sizes = bodies.map(bytes);
  const tooLarge = (kind, what) => refuse(kind, what, `Queue send failed: 413 Payload Too Large: ${what}`);
  const largest = Math.max(0, ...sizes);
  if (largest > LIMITS.queue_message_bytes)
    throw tooLarge("queue_message_bytes", `a message of ${largest} bytes`);
  if (bodies.length > LIMITS.queue_batch_messages)
    throw tooLarge("queue_batch_messages", `${bodies.length} messages`);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total > LIMITS.queue_batch_bytes) throw tooLarge("queue_batch_bytes", `a batch of ${total} bytes`);
}

/**
 * Makes batches from one as Queues may: in another order or size, with a message twice, or with a lost acknowledgement
 * and a second delivery. `chance` is the probability of each; 0 leaves the batch unchanged.
 */
export function disturb(messages, chance, random = Math.random) {
  const happens = () => random() < chance;
  if (!happens()) return [{ messages, isLost: false }];
  const order = messages
    .map((message) => [random(), message])
    .sort(([a], [b]) => a - b)
    .map(([, message]) => message);
  const batches = [];
  while (order.length > 0) {
    const some = order.splice(0, 1 + Math.floor(random() * order.length));
    if (happens()) batches.push({ messages: some, isLost: true });
    if (happens()) some.push(unacknowledged(some[0]));
    batches.push({ messages: some, isLost: false });
  }
  return batches;
}

/** Copies a message for a delivery whose acknowledgement does not arrive. */
export function unacknowledged({ id, timestamp, body, attempts }) {
  return { id, timestamp, body, attempts, ack() {}, retry() {} };
}
