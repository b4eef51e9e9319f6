/**
 * Issues the caller's key and the keys that are verified, with `fields` beside their names; gives their
 * credentials and what a verification answers.
 */
export async function prepareKeys(url, rootCredential, { keys = 1, fields = {} } = {}) {
  const call = async (method, credential, body) => {
    const response = await fetch(`${url}/ichor.v1.AdminService/${method}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${credential}` },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  const issue = async (name, scopes, more = {}) => {
    const key = { name, scopes, ownerId: "acme", ttl: "86400s", ...more };
    const { credential } = await call("IssueApiKey", rootCredential, key);
    return credential;
  };
  const caller = await issue("gateway", ["ichor:keys:verify", "ichor:tokens:verify"]);
  const credentials = [];
  for (let i = 0; i < keys; i++) credentials.push(await issue(`service ${i}`, ["invoices:*"], fields));
  const answer = await call("VerifyCredential", caller, verifyRequest(credentials[0]));
  if (!answer.valid) throw new Error(`not valid: ${JSON.stringify(answer)}`);
  return { caller, credentials, answer };
}

/** The request of every row about verification. */
export function verifyRequest(credential) {
  return { credential, requiredScopes: ["invoices:read"] };
}
