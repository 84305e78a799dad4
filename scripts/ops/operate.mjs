// Shared parts of the scripts that operate a stage: options, a clear end, and waiting.
import { parseArgs } from "node:util";
import { setUp } from "../setup.mjs";

/** Runs `work` with the options and positional arguments of the command line; a problem for the operator is shown without a stack. */
export async function operate(scriptUrl, options, work) {
  await setUp(scriptUrl, { cargoTools: false });
  const { Stop } = await import("./stage/stage.mjs");
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { stage: { type: "string", default: "production" }, ...options },
    });
    await work(values, positionals);
  } catch (error) {
    if (!(error instanceof Stop) && error.code?.startsWith?.("ERR_PARSE_ARGS") !== true) throw error;
    console.error(error.message);
    process.exit(1);
  }
}

/** Seconds between two looks, and the longest time without any progress. */
const LOOK_S = Number(process.env.LOOK_S ?? 10);
const STALL_S = Number(process.env.STALL_S ?? 600);

/**
 * Calls `look` until it returns null. Before that it returns `{ left, what }`: fewer left is progress, and the wait
 * continues as long as there is any. `after` tells the operator what to do once it has stopped.
 */
export async function waitUntil(look, after = "run this again: it goes on from there") {
  const { Stop } = await import("./stage/stage.mjs");
  const progress = progressOf();
  let least = Infinity;
  let moved = Date.now();
  for (;;) {
    const open = await look();
    if (open === null) return;
    if (open.left < least) {
      least = open.left;
      moved = Date.now();
      progress(open);
    }
    if (Date.now() - moved > STALL_S * 1_000)
      throw new Stop(
        `No progress for ${Math.round(STALL_S / 60)} minutes: still ${open.left} ${open.what}; ${after}`,
      );
    await pause(LOOK_S);
  }
}

/** Prints the rest and, from the second time on, the pace and the remaining time. */
function progressOf() {
  const started = Date.now();
  let first;
  return ({ left, what }) => {
    first ??= left;
    const rate = ((first - left) * 1_000) / Math.max(1, Date.now() - started);
    const pace =
      rate > 0 ? `, ${Math.round(rate * 60)} a minute, ${Math.ceil(left / rate / 60)} min more` : "";
    console.log(`    ${left} ${what}${pace}`);
  };
}

/** Prints `<what>: <done> of <total>` at most each second, and at the end. */
export function counter(what, total) {
  let said = 0;
  return (done) => {
    if (done < total && Date.now() - said < 1_000) return;
    said = Date.now();
    console.log(`    ${what}: ${done} of ${total}`);
  };
}

export const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
