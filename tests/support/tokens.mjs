// Mints tokens and seals credentials as docs and `domain` describe them, written independently of the
// Rust code: if the two disagree, a test fails.
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from "node:crypto";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

function base62(bytes, width) {
  let number = BigInt(`0x${bytes.toString("hex")}`);
  let text = "";
  for (let i = 0; i < width; i++) {
    text = ALPHABET[Number(number % 62n)] + text;
    number /= 62n;
  }
  return text;
}

export const sha256 = (text) => createHash("sha256").update(text).digest("hex");

/** Mints a token with its check under the base64 key. */
export function mintToken(checkKey) {
  const signed = `ntk_${base62(randomBytes(32), 43)}`;
  const tag = createHmac("sha256", Buffer.from(checkKey, "base64")).update(signed).digest();
  return signed + base62(tag.subarray(0, 8), 6);
}

/** Mints an admin API key, whose check covers a label too. */
export function mintKey(checkKey) {
  const signed = `nak_${base62(randomBytes(32), 43)}`;
  const tag = createHmac("sha256", Buffer.from(checkKey, "base64"))
    .update(`admin API key\n${signed}`)
    .digest();
  return signed + base62(tag.subarray(0, 8), 6);
}

/** Stores an admin API key as the API does, and returns it. `roles` are `[team, role]`. */
export async function putKey(system, maker, roles, { may = [], read_only = 0 } = {}) {
  const [key, id] = [mintKey(system.secrets.TOKEN_CHECK_KEY), `key_${randomBytes(9).toString("hex")}`];
  const json = JSON.stringify(roles.map(([team, role]) => ({ team, role })));
  const now = Date.now();
  await system.db.batch([
    system.db
      .prepare(
        "INSERT INTO api_keys (id, name, made_by, roles, read_only, may, created_at, expires_at) VALUES (?, 'test', ?, ?, ?, ?, ?, ?)",
      )
      .bind(id, maker, json, read_only, JSON.stringify(may), now, now + 3_600_000),
    system.db
      .prepare(
        "INSERT INTO api_key_secrets (hash, key_id, hint_start, hint_end, created_at) VALUES (?, ?, ?, ?, ?)",
      )
      .bind(sha256(key), id, key.slice(0, 12), key.slice(-4), now),
  ]);
  return key;
}

/** Derives a token from one, under the base64 key. `lines` replaces the lines of the payload by their names. */
export function deriveToken(parent, deriveKey, lines = {}) {
  const { version, hash, ends_at, calls, ip, nonce, scopes } = {
    version: "1",
    hash: sha256(parent),
    ends_at: Date.now() + 3_600_000,
    calls: "",
    ip: "",
    nonce: base62(randomBytes(8), 11),
    scopes: ["*"],
    ...lines,
  };
  const payload = [version, hash, ends_at, calls, ip, nonce, ...scopes].join("\n");
  const signed = `ntd_${Buffer.from(payload).toString("base64url")}`;
  return signed + createHmac("sha256", Buffer.from(deriveKey, "base64")).update(signed).digest("base64url");
}

/** Mints a token of the earlier system's form. */
export const mintLegacyToken = () => `ntk_${randomBytes(32).toString("base64url")}`;

/** Seals a credential to a route and an origin. */
export function seal(credential, routeId, origin, credentialKey) {
  const iv = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", Buffer.from(credentialKey, "base64"), iv);
  cipher.setAAD(Buffer.from(`token-manager credential v1\n${routeId}\n${origin}`));
  const sealed = Buffer.concat([
    cipher.update(JSON.stringify(credential)),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
  return `v1.${iv.toString("base64url")}.${sealed.toString("base64url")}`;
}

/** Opens what `seal` or the admin API has sealed. */
export function unseal(sealed, routeId, origin, credentialKey) {
  const [, iv, text] = sealed.split(".").map((part) => Buffer.from(part, "base64url"));
  const cipher = createDecipheriv("aes-256-gcm", Buffer.from(credentialKey, "base64"), iv);
  cipher.setAAD(Buffer.from(`token-manager credential v1\n${routeId}\n${origin}`));
  cipher.setAuthTag(text.subarray(-16));
  return cipher.update(text.subarray(0, -16), undefined, "utf8") + cipher.final("utf8");
}
