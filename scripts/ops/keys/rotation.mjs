// The steps that rotate a secret without refusing a call. Pure: no I/O.
import { fingerprint, fingerprints } from "./fingerprint.mjs";
import { KEYS } from "./secrets.mjs";
import { Stop } from "../stage/stage.mjs";

export { fingerprint, fingerprints };

/**
 * The successive values of a secret, from `present` (a list: the first key makes new tokens and seals, all are
 * accepted) to a list with `fresh` in front. First every isolate must know the new key, then it may lead; each step is
 * safe beside isolates that are still one step behind.
 */
export function rotation(name, present, fresh) {
  if (!KEYS[name])
    throw new Stop(
      `${name || "A secret's name"}: known are ${Object.keys(KEYS).join(", ")}; those of Clerk are set by npm run deploy (docs/operations.md)`,
    );
  return [
    { what: "the new key is accepted", value: `${present},${fresh}` },
    { what: "the new key leads, the old is still accepted", value: `${fresh},${present}` },
  ];
}

/**
 * The keys of `name` in use, in their current order: `present` names them by their fingerprints, the values come from
 * the environment or, if it has none, from the copy in the vault file. Any other key there is left out, so that this
 * puts no key into use. `note` is for the operator.
 */
export function heldKeys(name, { present, environment, vault, vaultFile }) {
  if (!environment && !vault)
    throw new Stop(
      `The present ${name} is neither in ${vaultFile} nor in the environment: take it from your vault`,
    );
  const known = (list) =>
    new Map(
      (list ?? "")
        .split(",")
        .map((key) => key.trim())
        .filter(Boolean)
        .map((key) => [fingerprint(key), key]),
    );
  const wanted = present.split(",");
  const isHeld = (list) => wanted.every((one) => known(list).has(one));
  const [source, list] = environment ? ["the environment", environment] : [vaultFile, vault];
  if (!isHeld(list)) {
    const other =
      environment && isHeld(vault) ? `; the copy in ${vaultFile} is: unset ${name} to use it` : "";
    throw new Stop(
      `The ${name} at hand, from ${source}, is not the one that is at work (${[...known(list).keys()]} is not ${present})${other}`,
    );
  }
  const held = wanted.map((one) => known(list).get(one)).join(",");
  const isStale = vault !== undefined && vault !== held;
  return {
    held,
    note: isStale
      ? `the ${name} in ${vaultFile} is another one than what is at work: what ${source} has is at work, and is kept there now`
      : undefined,
  };
}

/** The list reduced to its first key. */
export const dropped = (list) => ({ what: "the old key is gone", value: list.split(",")[0] });
