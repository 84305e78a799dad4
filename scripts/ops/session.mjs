// The proof of identity of a script that calls the admin API: an API key, or a session token. A Clerk token lasts a
// minute, so it is renewed as needed.
import { execFileSync } from "node:child_process";

/** Seconds before its end at which a token is renewed. */
const EARLY_S = 15;
const claims = (token) => {
  try {
    return JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
  } catch {
    return {};
  }
};

/**
 * The source of bearers: TOKEN_MANAGER_KEY, an admin API key; else TOKEN_MANAGER_SESSION, renewed by TOKEN_MANAGER_SESSION_COMMAND, which prints another one,
 * or with CLERK_SECRET_KEY by Clerk's Backend API. Undefined if the environment has none of them.
 */
export function session(environment = process.env) {
  const {
    TOKEN_MANAGER_KEY: key,
    TOKEN_MANAGER_SESSION: given,
    TOKEN_MANAGER_SESSION_COMMAND: command,
    CLERK_SECRET_KEY: clerkKey,
  } = environment;
  if (key) return { isKey: true, canRenew: false, renew: async () => key, token: async () => key };
  if (!given && !command) return undefined;
  let token = given;
  const canRenew = Boolean(command || (clerkKey && claims(given ?? "").sid));

  async function renew() {
    if (command)
      token = execFileSync("sh", ["-c", command], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "inherit"],
      }).trim();
    else
      token = await byClerk(
        claims(token).sid,
        clerkKey,
        environment.CLERK_API_URL ?? "https://api.clerk.com",
      );
    return token;
  }
  return {
    isKey: false,
    canRenew,
    renew,
    token: async () => {
      const { exp } = token ? claims(token) : { exp: 0 };
      const isOver = !token || (exp !== undefined && exp * 1_000 < Date.now() + EARLY_S * 1_000);
      return isOver && canRenew ? renew() : token;
    },
  };
}

async function byClerk(sessionId, key, base) {
  const response = await fetch(`${base}/v1/sessions/${encodeURIComponent(sessionId)}/tokens`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: "{}",
  });
  const answer = await response.json().catch(() => ({}));
  if (!response.ok || !answer.jwt)
    throw new Error(
      `Clerk does not renew the session: ${response.status} ${answer.errors?.map((error) => error.message).join("; ") ?? ""}`,
    );
  return answer.jwt;
}
