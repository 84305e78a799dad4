// The Workers' secrets, and the operator's own copy of those that are made here.
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root } from "../../setup.mjs";
import { fingerprints } from "./fingerprint.mjs";
import { Stop, WORKERS } from "../stage/stage.mjs";

/** Random secrets made here, with the Workers that have them. */
export const KEYS = {
  TOKEN_CHECK_KEY: WORKERS,
  CREDENTIAL_KEY: WORKERS,
  // The gateway signs with it; the admin API tells which one is at work.
  DERIVE_KEY: WORKERS,
  USAGE_LOG_KEY: ["admin-api"],
};
/** Secrets made by Clerk, only for the admin API; each is set if the environment has it. */
export const CLERK = ["CLERK_SECRET_KEY", "CLERK_WEBHOOK_SECRET", "CLERK_JWT_KEY"];

/** 256 random bits in base64. */
export const newKey = () => randomBytes(32).toString("base64");

/** Ignored by git. Cloudflare never shows a secret again, so this is the only copy until it is in a vault. */
export const vaultFile = (stage) => path.join(root, ".secrets", `${stage}.env`);

export function readVault(stage) {
  if (!existsSync(vaultFile(stage))) return {};
  const lines = readFileSync(vaultFile(stage), "utf8")
    .split("\n")
    .filter((line) => line.includes("="));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}

export function writeVault(stage, values) {
  mkdirSync(path.dirname(vaultFile(stage)), { recursive: true, mode: 0o700 });
  writeFileSync(
    vaultFile(stage),
    Object.entries(values)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
    { mode: 0o600 },
  );
}

/**
 * The secrets to set, by Worker: `{ gateway: { NAME: value }, … }`. `present` is the result of `secretsOf`; `known` has
 * the values of the vault file or the environment. A key that both Workers share cannot be read back from one of them.
 * If only one lacks it, its value must therefore be known, and be the one `atWork` (fingerprints by name, as the admin
 * API reports them): a stale one would refuse every token, or open no credential.
 */
export function missingSecrets(present, known, environment, atWork = {}) {
  const wanted = { gateway: {}, "admin-api": {} };
  for (const [name, workers] of Object.entries(KEYS)) {
    const without = workers.filter((worker) => !present[worker]?.includes(name));
    if (without.length === 0) continue;
    const isShared = without.length < workers.length;
    const value = isShared
      ? sharedValue(name, known[name], environment[name], atWork[name])
      : environment[name] || known[name];
    // If the admin API was never deployed, nothing was minted or sealed, and a new key does no harm.
    if (!value && isShared && present["admin-api"] !== null) {
      throw new Stop(
        `${name} is missing from ${without.join(" and ")} alone, and Cloudflare does not show the other's. Set ${name} in the environment to the value from your vault and run this again.`,
      );
    }
    const key = value ?? newKey();
    for (const worker of value ? without : workers) wanted[worker][name] = key;
  }
  for (const name of CLERK) if (environment[name]) wanted["admin-api"][name] = environment[name];
  return wanted;
}

/** Whether only some of a key's Workers lack it, so that the key in use must be known. */
export const isHalfSet = (present) =>
  Object.entries(KEYS).some(([name, workers]) => {
    const without = workers.filter((worker) => !present[worker]?.includes(name));
    return without.length > 0 && without.length < workers.length;
  });

function sharedValue(name, vault, environment, atWork) {
  const values = [environment, vault].filter(Boolean);
  if (!atWork) {
    if (new Set(values).size > 1)
      throw new Stop(
        `${name} is one in the environment and another in the vault file, and what is at work is not known: set the right one in both`,
      );
    return values[0];
  }
  const right = values.find((value) => fingerprints(value) === atWork);
  if (values.length > 0 && !right)
    throw new Stop(
      `The ${name} at hand is not the one that is at work (${values.map(fingerprints).join(" and ")} is not ${atWork}): take it from your vault`,
    );
  return right;
}
