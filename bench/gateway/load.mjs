// Calls over connections that are kept, as n8n and Cloudflare keep theirs. Written on bare sockets: the generator shares
// the machine with what it measures.
import { connect } from "node:net";

/** The runtime closes a connection that was idle for some seconds; one that was idle this long is dialled again. */
const IDLE_MS = 2_000;

/** Reads one response and tells when it is complete. */
class Reading {
  #head = Buffer.alloc(0);
  #bodyBytes = 0;
  #length = -1;
  #tail = "";
  status = 0;

  get hasBegun() {
    return this.status > 0 || this.#head.length > 0;
  }

  get hasBody() {
    return this.#bodyBytes > 0;
  }

  /** Takes the next bytes. Returns whether they end the response. */
  take(chunk) {
    let body = chunk;
    if (this.status === 0) {
      this.#head = Buffer.concat([this.#head, chunk]);
      const end = this.#head.indexOf("\r\n\r\n");
      if (end < 0) return false;
      this.#readHead(this.#head.toString("latin1", 0, end));
      body = this.#head.subarray(end + 4);
    }
    this.#bodyBytes += body.length;
    if (this.#length >= 0) return this.#bodyBytes >= this.#length;
    // In chunks: a response ends with an empty one, and no body here holds its bytes.
    this.#tail = (this.#tail + body.toString("latin1")).slice(-5);
    return this.#tail === "0\r\n\r\n";
  }

  #readHead(head) {
    this.status = Number(head.slice(9, 12));
    const length = /\r\ncontent-length: *(\d+)/i.exec(head);
    if (length) this.#length = Number(length[1]);
  }
}

/** One connection, dialled when it is needed. */
class Connection {
  /** The place in the target's list of requests. */
  at = 0;
  #socket;
  #usedAt = 0;

  constructor(url) {
    const { hostname, port } = new URL(url);
    this.to = { host: hostname, port: Number(port), noDelay: true };
  }

  /** Makes one call and returns its status and the times, in ms, until the first byte of the body and the last. */
  async call(bytes) {
    const isKept = this.#socket && performance.now() - this.#usedAt < IDLE_MS;
    if (!isKept) this.#dial();
    const done = await this.#exchange(bytes).catch((error) => {
      // The other side may close a kept connection at any time, also while a request is on its way to it.
      if (!isKept || error.hasBegun) throw error;
      this.#dial();
      return this.#exchange(bytes);
    });
    this.#usedAt = performance.now();
    return done;
  }

  close() {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #dial() {
    this.close();
    this.#socket = connect(this.to);
  }

  #exchange(bytes) {
    const socket = this.#socket;
    const started = performance.now();
    const reading = new Reading();
    let firstMs;
    return new Promise((resolve, reject) => {
      const onData = (chunk) => {
        const isDone = reading.take(chunk);
        if (firstMs === undefined && reading.hasBody) firstMs = performance.now() - started;
        if (isDone)
          settle(() => resolve({ status: reading.status, firstMs, ms: performance.now() - started }));
      };
      const onEnd = (error) => {
        this.close();
        const cause = error instanceof Error ? error : new Error("closed");
        settle(() => reject(Object.assign(cause, { hasBegun: reading.hasBegun })));
      };
      const settle = (how) => {
        socket.off("data", onData).off("error", onEnd).off("close", onEnd);
        // Whatever happens to it later is found at the next call.
        socket.once("error", () => this.close()).once("close", () => this.#forget(socket));
        how();
      };
      socket.removeAllListeners("error").removeAllListeners("close");
      socket.on("data", onData).on("error", onEnd).on("close", onEnd);
      socket.write(bytes);
    });
  }

  #forget(socket) {
    if (this.#socket === socket) this.#socket = undefined;
  }
}

/** A server under load: `requests` are sent in turn, each connection beginning at another one. */
export class Target {
  #connections = [];

  constructor({ name, url, pid, requests }) {
    this.name = name;
    this.url = url;
    this.pid = pid;
    this.requests = requests;
  }

  /** Makes `calls` calls on `connections` connections, one at a time on each, and returns the calls' times. */
  async calls(calls, connections) {
    while (this.#connections.length < connections) this.#connections.push(new Connection(this.url));
    const used = this.#connections.slice(0, connections);
    const share = this.requests.length / connections;
    used.forEach((connection, i) => (connection.at ||= Math.floor(i * share)));
    let left = calls;
    const times = [];
    const onOne = async (connection) => {
      while (left-- > 0) {
        const request = this.requests[connection.at++ % this.requests.length];
        const { status, ...time } = await connection.call(request);
        if (status !== 200) throw new Error(`${this.name} responded ${status}`);
        times.push(time);
      }
    };
    await Promise.all(used.map(onOne));
    return times;
  }

  close() {
    for (const connection of this.#connections) connection.close();
  }
}
