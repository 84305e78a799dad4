// A Worker that calls the gateway by its service binding and hangs up. Then workerd drops the promise of the gateway's
// handler, as it does in production. Closing a socket does not have that effect.
/* global FixedLengthStream */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The calls that were told to hang up, by their numbers. */
const told = new Set();

/** A body of `bytes` with an announced length, sent in pieces with a pause between them; `sent` is told what was taken. */
function slowly({ bytes, pieces, everyMs }, sent) {
  const { readable, writable } = new FixedLengthStream(bytes);
  const writer = writable.getWriter();
  const piece = new Uint8Array(bytes / pieces).fill(120);
  const write = async () => {
    for (let i = 1; i <= pieces; i++) {
      // It resolves when the gateway has taken the piece.
      await writer.write(piece);
      sent(i * piece.length);
      await sleep(everyMs);
    }
    await writer.close();
  };
  // Nobody takes the rest of it once the call has ended.
  write().catch(() => {});
  return readable;
}

/**
 * Makes one call. Returns what had arrived of its response when it ended or was hung up.
 * @param {any} gateway
 * @param {Record<string, any>} asked
 */
async function hangUp(gateway, { where, upload, number, afterMs, afterBytes, afterSent, ...init }) {
  const controller = new AbortController();
  const { signal } = controller;
  const hangUpAt = (reached, wanted) => reached >= (wanted ?? Infinity) && controller.abort();
  const seen = { status: null, bytes: 0, hung_up: false };
  let isOver = false;
  const listen = async () => {
    for (; !isOver; await sleep(5)) if (told.delete(number)) controller.abort();
  };
  const call = async () => {
    const response = await gateway.fetch(`http://front${where}`, { redirect: "manual", ...init, signal });
    seen.status = response.status;
    response.webSocket?.accept();
    const reader = response.body?.getReader();
    signal.addEventListener("abort", () => reader?.cancel().catch(() => {}));
    for (let part = {}; reader && !part.done; part = await reader.read()) {
      seen.bytes += part.value?.length ?? 0;
      hangUpAt(seen.bytes, afterBytes);
    }
  };
  if (upload) init.body = slowly(upload, (sent) => hangUpAt(sent, afterSent));
  if (afterMs !== undefined) setTimeout(() => controller.abort(), afterMs);
  if (number !== undefined) listen();
  try {
    await call();
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  isOver = true;
  return { ...seen, hung_up: signal.aborted };
}

/** Makes `calls` of them, `atOnce` at a time, each of which hangs up at a random moment within `withinMs`. */
async function hangUps(gateway, { calls, atOnce, withinMs, ids, ...call }) {
  const all = [];
  const line = async () => {
    while (all.length < calls) {
      const headers = { ...call.headers, "x-request-id": ids + all.length };
      const made = hangUp(gateway, { ...call, headers, afterMs: Math.random() * withinMs });
      all.push(made);
      await made;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, line));
  return Promise.all(all);
}

export default {
  async fetch(request, { gateway }) {
    const asked = await request.json();
    if (asked.tell !== undefined) return Response.json(told.add(asked.tell).size);
    return Response.json(await (asked.calls ? hangUps : hangUp)(gateway, asked));
  },
};
