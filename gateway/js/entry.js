// The gateway's entry: receives calls and carries out the steps that the wasm decides on (`gateway/src/step.rs`).
//
// It is a plain object, since a class behind proxies, as worker-build makes it, costs a seventh of a call. After a trap
// of the wasm the next call starts it over, as worker-build's shim does.
import { bytesOf } from "./headers.js";
import { passOn } from "./reply.js";
import { send } from "./send.js";
import { GONE, watchdog } from "./watchdog.js";

/**
 * The functions of `gateway/src/lib.rs`.
 * @typedef {object} Core
 * @property {(id: number, head: Uint8Array, hasBody: boolean, now: number, request: Request, env: any, ctx: any) => string | Promise<string>} begin
 * @property {(id: number, status: number, headers: Uint8Array, isSocket: boolean, now: number) => string | Promise<string>} responded
 * @property {(id: number, cause: string | undefined, now: number) => string | Promise<string>} failed
 * @property {(id: number) => any} body
 * @property {(id: number, piece: Uint8Array) => void} feed
 * @property {(id: number) => void} renew
 * @property {(id: number) => Promise<boolean>} allowed
 * @property {(id: number, now: number) => void} gone
 * @property {(id: number, how: string, bytes: number | undefined, bytesIn: number | undefined, now: number) => void} ended
 */

/**
 * A call on its way through the gateway.
 * @typedef {object} Call
 * @property {Core} core
 * @property {number} id
 * @property {Request} request
 * @property {any} env
 * @property {any} ctx
 * @property {any[]} responses the upstreams' responses, in the order of the requests
 * @property {((result: any) => void) | undefined} wake ends the wait for the upstream
 * @property {number} deadline when that wait ends
 * @property {any} timer the timer of that wait, if it has one of its own
 * @property {boolean} isGone whether the client has hung up
 * @property {AbortController | undefined} cancel ends a request that may end before its call, and the watch over a body
 */

let lastId = 0;

/**
 * Makes the Worker's entry from the wasm's functions. `life` starts the wasm over after a trap, and notes one.
 * @param {Core} core
 * @param {{ check: () => void, note: (error: any) => void }} life
 */
export function entry(core, life) {
  return {
    fetch(request, env, ctx) {
      life.check();
      const answer = serve(core, request, env, ctx);
      // Without this the platform ends the request as soon as its client hangs up, and nobody would record it.
      ctx.waitUntil(answer.catch(life.note));
      return answer;
    },
  };
}

/**
 * @param {Core} core
 * @param {Request} request
 */
async function serve(core, request, env, ctx) {
  const id = (lastId = (lastId + 1) >>> 0);
  /** @type {Call} */
  const call = {
    core,
    id,
    request,
    env,
    ctx,
    responses: [],
    wake: undefined,
    deadline: 0,
    timer: undefined,
    isGone: false,
    cancel: undefined,
  };
  const head = bytesOf(request.headers, `${request.method}\n${request.url}\n`);
  const hasBody = request.body !== null;
  let step = core.begin(id, head, hasBody, Date.now(), request, env, ctx);
  let listens = false;
  for (;;) {
    if (!listens && (typeof step !== "string" || step[0] === "S" || step[0] === "C")) {
      listen(call);
      listens = true;
    }
    const text = typeof step === "string" ? step : await step;
    const lines = text.split("\n");
    switch (lines[0]) {
      case "S":
      case "C":
        step = await send(call, lines);
        break;
      case "O":
        release(call, -1);
        return own(lines);
      case "P": {
        const attempt = Number(lines[1]) - 1;
        release(call, attempt);
        return passed(call, call.responses[attempt], lines);
      }
      default:
        release(call, -1);
        return new Response(null, { status: 499 });
    }
  }
}

/** Passes a response on. If the platform refuses to make it, the call ends here: nothing else would end it. */
function passed(call, response, lines) {
  try {
    return passOn(call, response, lines);
  } catch (error) {
    call.core.ended(call.id, "broken", 0, undefined, Date.now());
    response?.body?.cancel().catch(() => {});
    throw error;
  }
}

/** Ends the call as soon as its client hangs up. */
function listen(call) {
  call.request.signal.onabort = () => {
    call.isGone = true;
    call.core.gone(call.id, Date.now());
    call.cancel?.abort();
    watchdog.leave(call);
    call.wake?.(GONE);
  };
}

/** Lets go of the responses that nobody will read, so that their connections close. */
function release(call, kept) {
  if (call.responses.length < 2 && kept === 0) return;
  for (const [at, response] of call.responses.entries())
    if (at !== kept) response?.body?.cancel().catch(() => {});
}

/** Makes a response of the gateway's own: status, body, then names and values of headers. */
function own(lines) {
  /** @type {[string, string][]} */
  const headers = [];
  for (let at = 3; at < lines.length; at += 2) headers.push([lines[at], lines[at + 1]]);
  return new Response(lines[2] === "" ? null : lines[2], { status: Number(lines[1]), headers });
}
