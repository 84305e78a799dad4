// What the scripts that operate a stage share: options, a clear end, and waiting.
import { parseArgs } from "node:util";
import { setUp } from "./setup.mjs";

/** Runs `work` with the options and positional arguments of the command line; what must be mended is said without a stack. */
export async function operate(scriptUrl, options, work) {
  await setUp(scriptUrl, { cargoTools: false });
  const { Stop } = await import("./deploy/stage.mjs");
  try {
    const { values, positionals } = parseArgs({ allowPositionals: true, options: { stage: { type: "string", default: "production" }, ...options } });
    await work(values, positionals);
  } catch (error) {
    if (!(error instanceof Stop) && error.code?.startsWith?.("ERR_PARSE_ARGS") !== true) throw error;
    console.error(error.message);
    process.exit(1);
  }
}

/** Seconds between two looks, and how many looks there are. */
const LOOK_S = Number(process.env.LOOK_S ?? 10);
const LOOKS = 60;

/** Looks until `look` answers null; what it answers meanwhile is what is waited for. */
export async function waitUntil(look) {
  const { Stop } = await import("./deploy/stage.mjs");
  let last;
  for (let i = 0; i < LOOKS; i += 1) {
    const open = await look();
    if (open === null) return;
    if (open !== last) console.log(`    ${open}`);
    last = open;
    await pause(LOOK_S);
  }
  throw new Stop(`After ${(LOOKS * LOOK_S) / 60} minutes still: ${last}`);
}

export const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
