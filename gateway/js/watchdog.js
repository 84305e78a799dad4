// One timer for all calls that wait for an upstream, since a timer a call is a tenth of its cost.
//
// The timer belongs to the call that starts it, which lives as long. When it fires, every call that still waits sets a
// timer of its own for the rest of its time: so only calls that take longer than a tick have one.

/** The call has waited for a tick. */
export const LATE = Symbol("late");
/** The call has waited for as long as it may. */
export const TIMEOUT = Symbol("timeout");
/** The client has hung up. */
export const GONE = Symbol("gone");

const TICK_MS = 1_000;

/** @type {Set<import("./entry.js").Call>} */
const waiting = new Set();
let ticksAt = 0;
/** Ends the current tick, and the call that owns it. */
let owner;
let fire = () => {};

export const watchdog = {
  /**
   * Wakes the call when its time is over, or with LATE before that.
   * @param {import("./entry.js").Call} call
   * @param {number} ms
   */
  watch(call, ms) {
    const now = Date.now();
    call.deadline = now + ms;
    if (ms < 2 * TICK_MS) return this.alone(call);
    waiting.add(call);
    // A timer whose call was ended from outside never fires.
    if (now > ticksAt + TICK_MS) tick(call, now);
  },
  /** Gives the call a timer of its own. */
  alone(call) {
    call.timer = setTimeout(() => call.wake?.(TIMEOUT), call.deadline - Date.now());
  },
  forget(call) {
    waiting.delete(call);
    if (call.timer !== undefined) clearTimeout(call.timer);
    call.timer = undefined;
  },
  /** Forgets a call whose client has gone. It must end soon, so it hands the others over at once. */
  leave(call) {
    this.forget(call);
    if (call === owner) fire();
  },
};

function tick(call, now) {
  ticksAt = now + TICK_MS;
  owner = call;
  call.ctx.waitUntil(
    new Promise((resolve) => {
      fire = () => {
        owner = undefined;
        ticksAt = 0;
        clearTimeout(timer);
        const late = [...waiting];
        waiting.clear();
        // What a call does then runs in its own context, though it is woken from this one.
        for (const one of late) one.wake?.(LATE);
        resolve(undefined);
      };
      const timer = setTimeout(fire, TICK_MS);
    }),
  );
}
