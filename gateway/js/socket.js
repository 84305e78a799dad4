// Web sockets. The token is checked at the upgrade; afterwards messages pass both ways until one side closes.
import { edit } from "./headers.js";
import { hold } from "./hold.js";

/** Close codes that mean that there was none, and cannot be sent (RFC 6455, section 7.4.1). */
const UNSENDABLE = [1004, 1005, 1006, 1015];
/** "Policy violation": the token may not go on. */
const ENDED = 1008;
/** The interval at which a socket's token is looked at again; a change is known then as soon as for calls, within 5 s. */
const LOOK_MS = 4_000;
/** "Internal error", which also tells that a connection broke off. */
const BROKEN = 1011;
const PROTOCOL = "sec-websocket-protocol";
/**
 * The protocol that a browser offers beside its token if the upstream knows none:
 * `new WebSocket(url, ["token-manager", "ntk_…"])`.
 */
const OWN_PROTOCOL = "token-manager";

/**
 * Joins the client to the upstream's socket. Returns the 101 for the client.
 * @param {import("./entry.js").Call} call
 * @param {any} response
 * @param {boolean} isRead whether the upstream's messages are shown to the wasm
 * @param {string[]} lines
 */
export function join(call, response, isRead, lines) {
  // @ts-ignore A global of the platform.
  const pair = new WebSocketPair();
  const reply = new Response(null, { status: 101, webSocket: pair[0] });
  edit(reply.headers, lines);
  const protocol = response.headers.get(PROTOCOL) ?? own(call);
  if (protocol !== undefined) reply.headers.set(PROTOCOL, protocol);
  pass(call, pair[1], response.webSocket, isRead).finally(hold(call));
  return reply;
}

/** A browser that offered protocols expects one of them. If the upstream chose none, it may have been offered only ours. */
function own({ request }) {
  const offered = request.headers.get(PROTOCOL)?.split(",") ?? [];
  return offered.map((one) => one.trim()).find((one) => one === OWN_PROTOCOL);
}

const lengthOf = (data) =>
  typeof data === "string" ? new TextEncoder().encode(data).length : data.byteLength;

/** Passes messages both ways. Resolves when both sides are closed; each way out closes both. */
function pass(call, client, upstream, isRead) {
  const { core, id } = call;
  const bytes = { in: 0, out: 0 };
  return new Promise((resolve) => {
    const look = setInterval(async () => {
      if (!(await core.allowed(id))) end("whole", ENDED, "the token may not go on");
    }, LOOK_MS);
    const end = (how, code, reason) => {
      clearInterval(look);
      for (const socket of [client, upstream]) close(socket, code, reason);
      core.ended(id, how, bytes.out, bytes.in, Date.now());
      resolve(undefined);
    };
    const link = (from, to, way) => {
      const broken = () => end(way === "in" ? "left" : "broken", BROKEN, "the other side broke off");
      from.binaryType = "arraybuffer";
      from.addEventListener("message", ({ data }) => {
        bytes[way] += lengthOf(data);
        try {
          to.send(data);
        } catch {
          return end(way === "in" ? "broken" : "left", BROKEN, "the other side broke off");
        }
        if (isRead && way === "out" && typeof data === "string")
          core.feed(id, new TextEncoder().encode(data));
      });
      from.addEventListener("close", ({ code, reason, wasClean }) =>
        wasClean ? end("whole", code, reason) : broken(),
      );
      from.addEventListener("error", broken);
    };
    // Listen before accepting, so that no message is missed.
    link(client, upstream, "in");
    link(upstream, client, "out");
    client.accept();
    upstream.accept();
  });
}

/** Closes a socket by the code that the other side was closed with, if it can be sent. */
function close(socket, code, reason) {
  try {
    if (UNSENDABLE.includes(code)) socket.close();
    else socket.close(code, reason);
  } catch {
    // It has closed already, or the platform sends no such code.
    try {
      socket.close(BROKEN);
    } catch {
      // It has closed already.
    }
  }
}
