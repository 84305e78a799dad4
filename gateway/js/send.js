// Sends a request to an upstream and waits for the first byte of its response.
import { bytesOf } from "./headers.js";
import { GONE, LATE, TIMEOUT, watchdog } from "./watchdog.js";

/** Lines of the step before its headers: letter, method, address, time, source of the body, headers left out. */
const HEADERS_AT = 6;

/**
 * Carries out a step that sends. Returns the next step.
 * @param {import("./entry.js").Call} call
 * @param {string[]} lines
 */
export async function send(call, lines) {
  const { core, id } = call;
  if (call.isGone) return "G";
  let response;
  const at = call.responses.push(undefined) - 1;
  try {
    response = request(call, lines);
    watchdog.watch(call, Number(lines[3]));
    let first = await orWoken(call, response);
    if (first === LATE) {
      // The client may have hung up at that moment, when nobody was listening.
      if (call.isGone) return "G";
      watchdog.alone(call);
      first = await orWoken(call, response);
    }
    if (first === GONE) return "G";
    if (first === TIMEOUT) call.cancel?.abort();
    if (first === TIMEOUT) return core.failed(id, undefined, Date.now());
    response = first;
  } catch (error) {
    if (call.isGone) return "G";
    return core.failed(id, String(error), Date.now());
  } finally {
    watchdog.forget(call);
  }
  call.responses[at] = response;
  const isSocket = response.status === 101;
  return core.responded(id, response.status, bytesOf(response.headers), isSocket, Date.now());
}

/**
 * Waits for the response, or until somebody wakes the call. The watchdog wakes it from another call, and the platform
 * brings that news later: were the awaited promise itself resolved there, a response that comes before the news would
 * be lost, and the call ended as one that hangs.
 */
function orWoken(call, response) {
  const woken = new Promise((resolve) => (call.wake = resolve));
  return Promise.race([response, woken]);
}

function request(call, lines) {
  const [, method, url, , source] = lines;
  const isRead = method === "GET" || method === "HEAD";
  /** @type {RequestInit} */
  const init = { method, headers: headersOf(call, lines), redirect: "manual" };
  // A cached response may have been made for another client's credential. No cache answers other methods.
  if (isRead) init.cache = "no-store";
  call.cancel = undefined;
  // The end of a request does not end its attempt at a socket.
  if (lines[0] === "C" || call.request.headers.has("upgrade")) {
    call.cancel = new AbortController();
    init.signal = call.cancel.signal;
  }
  if (source === "held") init.body = call.core.body(call.id);
  else if (source === "client") {
    if (isRead) return fetch(withBody(call, url), { ...init, method: undefined });
    init.body = call.request.body;
  }
  return fetch(url, init);
}

/** `fetch` refuses to make a GET with a body, unless the body is part of a request. The client's own can be sent again. */
const withBody = (call, url) => new Request(url, call.request.clone());

/**
 * The client's headers without those that are left out, and those that are added. A copy keeps the bytes of every value,
 * and is made four times faster than headers from pairs of text.
 */
function headersOf({ request }, lines) {
  const headers = new Headers(request.headers);
  const dropped = lines[HEADERS_AT - 1];
  if (dropped !== "") for (const name of dropped.split(",")) headers.delete(name);
  for (let at = HEADERS_AT; at < lines.length; at += 2) headers.set(lines[at], lines[at + 1]);
  return headers;
}
