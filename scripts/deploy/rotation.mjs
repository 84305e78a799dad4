// How a secret is rotated with no call refused. Nothing here asks or changes anything.
import { createHash } from "node:crypto";
import { Stop } from "./stage.mjs";
import { KEYS } from "./secrets.mjs";

/** What the Workers tell keys apart by (`Key256::fingerprint`). */
export const fingerprint = (key) => createHash("sha256").update("token-manager key").update(Buffer.from(key, "base64")).digest("hex").slice(0, 16);

export const fingerprints = (list) => list.split(",").map((key) => fingerprint(key.trim())).join(",");

/**
 * The values that a secret takes one after the other, from `present` (a list: the first key makes what is new, all are
 * accepted) to a list with `fresh` in front. First every isolate must know the new key, then it may lead; each step is
 * safe beside isolates that are still one step behind.
 */
export function rotation(name, present, fresh) {
  if (!KEYS[name]) throw new Stop(`${name || "A secret's name"}: known are ${Object.keys(KEYS).join(", ")}; those of Clerk are set by npm run deploy (docs/operations.md)`);
  return [
    { what: "the new key is accepted", value: `${present},${fresh}` },
    { what: "the new key leads, the old is still accepted", value: `${fresh},${present}` },
  ];
}

/** The list without all but its first key. */
export const dropped = (list) => ({ what: "the old key is gone", value: list.split(",")[0] });
