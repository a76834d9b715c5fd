// Holds Sigstore bundles with a public key's hint to Sigstore's own library for JavaScript.
//
//     NODE_PATH=.tools/peers/node/node_modules node scripts/peers/check_bundles.cjs KEY.pem... FILE...
//
// Keys are public and end with `.pem`. Prints one line of JSON for each other file: why it is refused, or
// null. Ends with 1 where any is.

const crypto = require("crypto");
const fs = require("fs");

const { bundleFromJSON } = require("@sigstore/bundle");
const { Verifier, toSignedEntity, toTrustMaterial } = require("@sigstore/verify");

const named = process.argv.slice(2);
const keys = new Map();
for (const path of named.filter((name) => name.endsWith(".pem"))) {
  const publicKey = crypto.createPublicKey(fs.readFileSync(path));
  const der = publicKey.export({ type: "spki", format: "der" });
  keys.set(crypto.createHash("sha256").update(der).digest("base64"), publicKey);
}

// No authority for certificates, no log and no clock: the key alone is trusted, whenever it signed.
const nobody = { tlogs: [], ctlogs: [], certificateAuthorities: [], timestampAuthorities: [] };
const find = (hint) => {
  if (!keys.has(hint)) throw new Error(`no key is called ${hint}`);
  return { publicKey: keys.get(hint), validFor: () => true };
};
const none = { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 };
const verifier = new Verifier(toTrustMaterial(nobody, find), none);

function refused(path) {
  try {
    verifier.verify(toSignedEntity(bundleFromJSON(JSON.parse(fs.readFileSync(path)))));
    return null;
  } catch (error) {
    return `${error.code ?? error.name}: ${error.message}`;
  }
}

let any = false;
for (const file of named.filter((name) => !name.endsWith(".pem"))) {
  const why = refused(file);
  any ||= why !== null;
  console.log(JSON.stringify({ file, refused: why }));
}
process.exitCode = any ? 1 : 0;
