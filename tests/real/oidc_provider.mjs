// A vendor's sign-in by npm's oidc-provider: node oidc_provider.mjs FOLDER PORT, clients and people as JSON on stdin.
// FOLDER is where the package was installed.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, port] = process.argv.slice(2);
const { clients, people } = JSON.parse(readFileSync(0, "utf8"));
const { default: Provider } = await import(pathToFileURL(`${folder}/node_modules/oidc-provider/lib/index.js`));

const WAYS = { body: "client_secret_post", basic: "client_secret_basic", none: "none" };
const names = Object.fromEntries(people);

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: clients.map(({ client_id, client_secret, redirect_uri, way }) => ({
    client_id,
    ...(client_secret && { client_secret }),
    token_endpoint_auth_method: WAYS[way],
    redirect_uris: [redirect_uri],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
  })),
  // Other than the package's own: each refresh gives a new refresh token to every client.
  rotateRefreshToken: true,
  pkce: { methods: ["S256"], required: () => true },
  scopes: ["openid", "offline_access", "profile", "notes:read", "notes:write"],
  claims: { openid: ["sub"], profile: ["name"] },
  features: { revocation: { enabled: true } },
  findAccount: (context, id) => ({ accountId: id, claims: () => ({ sub: id, name: names[id] }) }),
  cookies: { keys: ["of the tests"] },
});

provider.listen(Number(port), "127.0.0.1");
