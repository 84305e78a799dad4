// AWS's part for a role: STS's AssumeRole at `/`, and an API at any other path that accepts only the keys of its
// sessions. Both refuse a call whose signature is not the one that aws4fetch computes.
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { listen } from "../../local/listen.mjs";
import { byAws4fetch, keys } from "./aws.mjs";

export const ROLE = "arn:aws:iam::123456789012:role/reader";
/** The role whose sessions last four seconds. */
export const SHORT = "arn:aws:iam::123456789012:role/short";
/** The role whose trust policy asks for an external id. */
export const SHARED = "arn:aws:iam::123456789012:role/shared";
export const EXTERNAL_ID = "team:a/1";

/** The response of AWS's documentation, with these keys. */
const granted = ({ id, secret, token, ends_at }) => `<?xml version="1.0"?>
<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
    <AssumedRoleUser>
      <Arn>arn:aws:sts::123456789012:assumed-role/reader/session</Arn>
      <AssumedRoleId>ARO123EXAMPLE123:session</AssumedRoleId>
    </AssumedRoleUser>
    <Credentials>
      <AccessKeyId>${id}</AccessKeyId>
      <SecretAccessKey>${secret}</SecretAccessKey>
      <SessionToken>
        ${token}
      </SessionToken>
      <Expiration>${new Date(ends_at).toISOString().replace(/\.\d+/, "")}</Expiration>
    </Credentials>
    <PackedPolicySize>6</PackedPolicySize>
  </AssumeRoleResult>
  <ResponseMetadata><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ResponseMetadata>
</AssumeRoleResponse>`;

const refused = (code, message) => `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error>
  <RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId>
</ErrorResponse>`;

const isSigned = async (received, service, body, by) =>
  received.headers.authorization === (await byAws4fetch(received, service, body || undefined, by));

/**
 * Checks a call of AssumeRole.
 * @returns {Promise<[number, string]>} status and body
 */
async function assume(aws, received, body) {
  const form = new URLSearchParams(body);
  aws.asked.push({ received, service: "sts", body, form });
  if (!(await isSigned(received, "sts", body, keys)))
    return [403, refused("SignatureDoesNotMatch", `The signature of ${keys.access_key_id} does not match`)];
  if (form.get("Action") !== "AssumeRole" || form.get("Version") !== "2011-06-15")
    return [400, refused("InvalidAction", "Could not find the operation")];
  const [arn, external_id] = [form.get("RoleArn"), form.get("ExternalId")];
  const isTrusted = [ROLE, SHORT].includes(arn) || (arn === SHARED && external_id === EXTERNAL_ID);
  if (!isTrusted) return [403, refused("AccessDenied", `User is not authorized to assume ${arn}`)];
  const session = {
    id: `ASIA${randomBytes(8).toString("hex").toUpperCase()}`,
    secret: randomBytes(30).toString("base64"),
    token: `${randomBytes(60).toString("base64")}==`,
    ends_at: Date.now() + (arn === SHORT ? 4_000 : 3_600_000),
  };
  aws.sessions.push(session);
  return [200, granted(session)];
}

/**
 * Checks a call of the API, as of the service whose name its path begins with.
 * @returns {Promise<[number, string]>} status and body
 */
async function serve(aws, received, body) {
  const [, service] = received.url.split("/");
  const id = /Credential=([^/]+)/.exec(received.headers.authorization ?? "")?.[1];
  const session = aws.sessions.find((session) => session.id === id);
  const by = session && { ...keys, access_key_id: session.id, secret_access_key: session.secret };
  const isAccepted =
    session?.token === received.headers["x-amz-security-token"] &&
    Date.now() < session.ends_at &&
    (await isSigned(received, service, body, by));
  if (!isAccepted) {
    aws.refused.push(received);
    return [403, refused("AccessDenied", "Access Denied")];
  }
  aws.called.push({ received, service, body, by });
  return [200, JSON.stringify({ url: received.url, id, body })];
}

/**
 * Starts both. `asked` holds each call of STS and `called` each accepted call of the API, as `byBotocore` takes them;
 * `sessions` the keys that were given out.
 */
export async function startAws() {
  const aws = { url: "", asked: [], called: [], refused: [], sessions: [] };
  const server = createServer(async (request, response) => {
    const { method, url, headers } = request;
    const received = { method, url, headers };
    const body = Buffer.concat(await request.toArray()).toString();
    // An answer without keys, such as a page of a proxy.
    if (url === "/odd") return response.writeHead(200).end("<html>s3cret</html>");
    const [status, text] = await (url === "/" ? assume : serve)(aws, received, body);
    const last = aws.sessions.at(-1);
    response
      .writeHead(status, {
        "content-type": text.startsWith("<") ? "text/xml" : "application/json",
        ...(url !== "/" && last && { "x-token": last.token, "x-secret": last.secret, "x-plain": "kept" }),
      })
      .end(text);
  });
  aws.url = `http://127.0.0.1:${await listen(server)}`;
  return Object.assign(aws, {
    /** A credential that assumes a role of this STS. */
    assuming: (service, role = {}) => ({
      kind: "aws_sigv4",
      ...keys,
      service,
      role: { arn: ROLE, sts_url: aws.url, ...role },
    }),
    close: () => (server.closeAllConnections(), server.close()),
  });
}
