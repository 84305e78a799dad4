// Google's part for a service account: key files, and a token endpoint that checks assertions with `jose`.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { jwtVerify } from "jose";
import { listen } from "../../local/listen.mjs";

const EMAIL = "robot@project.iam.gserviceaccount.com";

/** Makes a service account with a key, and its key file as Google gives it out. */
export function makeAccount(token_uri, more = {}) {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const account = { id: randomBytes(4).toString("hex"), email: EMAIL, publicKey };
  const file = {
    type: "service_account",
    project_id: "project",
    private_key_id: account.id,
    private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
    client_email: EMAIL,
    client_id: "1234567890",
    token_uri,
    universe_domain: "googleapis.com",
    ...more,
  };
  return { ...account, key_file: JSON.stringify(file, null, 2) };
}

/**
 * Starts a token endpoint at `/token` and an API at any other path, which echoes calls with the token that was issued
 * last. `asked` holds each request for a token: its form, and the assertion's header and claims if `jose` accepts it.
 */
export async function startGoogle() {
  const google = { url: "", asked: [], called: [], accounts: [], life_s: 3_600, last: "" };
  const answer = (response, status, body) =>
    response
      .writeHead(status, { "content-type": "application/json", "x-echo": google.last })
      .end(JSON.stringify(body));
  const grant = async (request, response) => {
    const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString());
    const asked = { form, headers: request.headers, refused: "" };
    google.asked.push(asked);
    try {
      if (form.get("grant_type") !== "urn:ietf:params:oauth:grant-type:jwt-bearer")
        throw new Error("grant type");
      const keyOf = (header) => google.accounts.find((account) => account.id === header.kid)?.publicKey;
      const { payload, protectedHeader } = await jwtVerify(form.get("assertion"), keyOf, {
        algorithms: ["RS256"],
        audience: `${google.url}/token`,
        issuer: EMAIL,
        requiredClaims: ["iat", "exp", "scope"],
        maxTokenAge: 60,
        typ: "JWT",
      });
      Object.assign(asked, { payload, protectedHeader });
    } catch (error) {
      asked.refused = String(error);
      return answer(response, 400, { error: "invalid_grant", error_description: form.get("assertion") });
    }
    google.last = `ya29.${randomBytes(16).toString("base64url")}`;
    answer(response, 200, { access_token: google.last, expires_in: google.life_s, token_type: "Bearer" });
  };
  const server = createServer(async (request, response) => {
    if (request.url === "/token") return grant(request, response);
    const { method, url, headers } = request;
    const body = Buffer.concat(await request.toArray()).toString();
    google.called.push({ method, url, headers, body });
    const isKnown = headers.authorization === `Bearer ${google.last}`;
    answer(
      response,
      isKnown ? 200 : 401,
      isKnown ? { url, headers, body } : { error: headers.authorization },
    );
  });
  google.url = `http://127.0.0.1:${await listen(server)}`;
  return Object.assign(google, {
    /** Makes an account whose key the endpoint knows. */
    account(more = {}) {
      const account = makeAccount(`${google.url}/token`, more);
      google.accounts.push(account);
      return account;
    },
    /** From now on the token that was issued last is refused. */
    withdraw: () => (google.last = "withdrawn"),
    close: () => (server.closeAllConnections(), server.close()),
  });
}
