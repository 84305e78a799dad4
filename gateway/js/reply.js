// Passes an upstream's response on to the client.
import { edit } from "./headers.js";
import { hold } from "./hold.js";
import { join } from "./socket.js";

/**
 * Makes the client's response: status and body as they are, headers as the step says.
 * @param {import("./entry.js").Call} call
 * @param {any} response
 * @param {string[]} lines
 */
export function passOn(call, response, lines) {
  const [, , watch, cut] = lines;
  if (watch === "socket" || watch === "read-socket")
    return join(call, response, watch === "read-socket", lines);
  const body = watch === "" ? response.body : watched(call, response.body, watch, cut);
  // The text of the status stays behind: HTTP/2 has none, and an upstream could write anything there.
  const reply = new Response(body, { status: response.status, headers: response.headers });
  edit(reply.headers, lines);
  return reply;
}

/** Bytes of a response that tells of an error that are shown to the wasm: one more than it keeps (`domain::upstream::said`). */
const BEGINNING = 4_097;

/** Returns the body as the client gets it. Its end is told to the wasm once it comes. */
function watched(call, body, watch, cut) {
  const { core, id } = call;
  if (body === null) {
    core.ended(id, "whole", 0, undefined, Date.now());
    return null;
  }
  call.cancel = new AbortController();
  if (watch === "end" && cut === "") {
    // No byte of it enters JavaScript.
    const { readable, writable } = new IdentityTransformStream();
    body
      .pipeTo(writable, { signal: call.cancel.signal })
      .then(
        () => core.ended(id, "whole", undefined, undefined, Date.now()),
        () => broken(call, undefined),
      )
      .finally(hold(call));
    return readable;
  }
  return inPieces(
    call,
    body,
    cut === "" ? Infinity : Number(cut),
    watch === "beginning" ? BEGINNING : Infinity,
  );
}

/** A body that ends early: because the client has left, or because the upstream broke off. */
function broken(call, bytes) {
  if (call.isGone || call.request.signal.aborted) call.core.gone(call.id, Date.now());
  else call.core.ended(call.id, "broken", bytes, undefined, Date.now());
}

/** Passes a body piece by piece, and shows the first `shown` bytes to the wasm. */
function inPieces(call, body, cut, shown) {
  const { core, id } = call;
  const reader = body.getReader();
  let bytes = 0;
  const hasEnded = hold(call);
  const stop = () => {
    hasEnded();
    reader.cancel().catch(() => {});
  };
  call.cancel.signal.addEventListener("abort", stop);
  return new ReadableStream(
    {
      async pull(controller) {
        if (bytes >= cut) {
          core.ended(id, "cut", bytes, undefined, Date.now());
          stop();
          return controller.error(new Error("cut, as the call asked"));
        }
        let piece;
        try {
          piece = await reader.read();
        } catch (error) {
          broken(call, bytes);
          hasEnded();
          return controller.error(error);
        }
        if (piece.done) {
          core.ended(id, "whole", bytes, undefined, Date.now());
          hasEnded();
          return controller.close();
        }
        const value = piece.value.length > cut - bytes ? piece.value.subarray(0, cut - bytes) : piece.value;
        if (bytes < shown) core.feed(id, value.subarray(0, shown - bytes));
        bytes += value.length;
        controller.enqueue(value);
      },
      cancel() {
        core.gone(id, Date.now());
        stop();
      },
    },
    { highWaterMark: 0 },
  );
}
