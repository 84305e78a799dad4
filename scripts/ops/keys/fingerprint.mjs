// The fingerprints by which the Workers tell keys apart. Pure: no I/O.
import { createHash } from "node:crypto";

/** As `Key256::fingerprint`. */
export const fingerprint = (key) =>
  createHash("sha256")
    .update("token-manager key")
    .update(Buffer.from(key, "base64"))
    .digest("hex")
    .slice(0, 16);

export const fingerprints = (list) =>
  list
    .split(",")
    .map((key) => fingerprint(key.trim()))
    .join(",");
