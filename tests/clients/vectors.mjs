// The rules of docs/clients.md in Node's own Ed25519 and JSON, held against the vectors: node vectors.mjs FILE.
// Written from the documentation alone; run by other_language.py.

import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const PKCS8_ED25519 = Buffer.from("302e020100300506032b657004220420", "hex"); // RFC 8410, 7

class Refusal extends Error {}

/** The body with its one top-level signature blanked, and the signature's text. */
function signedBytes(body) {
  let document;
  try {
    document = JSON.parse(body);
  } catch {
    throw new Refusal("NotJson");
  }
  if (document === null || typeof document !== "object" || Array.isArray(document)) throw new Refusal("NotJson");
  const [start, end] = spanOfSignature(body);
  if (typeof document.signature !== "string") throw new Refusal("InvalidMessage");
  return [Buffer.from(body.slice(0, start) + '""' + body.slice(end)), document.signature];
}

/** Where the value of the top-level member signature stands. Refuses a name that stands twice in any object. */
function spanOfSignature(body) {
  const tokens = [...body.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs)];
  const names = [];
  let span = null;
  tokens.forEach((token, at) => {
    const [text] = token;
    if (text === "{") names.push(new Set());
    else if (text === "[") names.push(null);
    else if (text === "}" || text === "]") names.pop();
    else if (text[0] === '"' && tokens[at + 1]?.[0] === ":") {
      const name = JSON.parse(text);
      if (names.at(-1).has(name)) throw new Refusal("DuplicateKey");
      names.at(-1).add(name);
      const value = tokens[at + 2];
      if (names.length === 1 && name === "signature") span = [value.index, value.index + value[0].length];
    }
  });
  if (span === null) throw new Refusal("InvalidMessage");
  return span;
}

function readSignature(text) {
  if (/^[0-9a-fA-F]{128}$/.test(text)) return Buffer.from(text, "hex");
  if (/^[A-Za-z0-9+/_-]{86}(==)?$/.test(text)) return Buffer.from(text, "base64");
  throw new Refusal("MalformedSignature");
}

function check(truth, what) {
  if (!truth) throw new Error(what);
}

const keyOf = (seedHex) =>
  createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, Buffer.from(seedHex, "hex")]), format: "der", type: "pkcs8" });

function checkSignatures(vector, signed) {
  const [secret, known] = [keyOf(vector.secret_key), createPublicKey(vector.public_key)];
  const pem = createPublicKey(secret).export({ format: "pem", type: "spki" });
  check(pem === vector.public_key, "the public key differs");
  const signature = sign(null, signed, secret);
  const texts = Object.entries(vector.signature);
  check(texts.length > 1, "no signatures");
  for (const [form, text] of texts) {
    check(readSignature(text).equals(signature), `${form} is another signature`);
    check(verify(null, signed, known, readSignature(text)), `${form} does not verify`);
  }
}

const vectors = JSON.parse(readFileSync(process.argv[2], "utf8"));
let checked = 0;
const each = (list, test) =>
  list.forEach((vector) => {
    try {
      test(vector);
      checked += 1;
    } catch (error) {
      console.error(`${vector.name}: ${error.message}`);
      process.exitCode = 1;
    }
  });

each(vectors.post, (vector) => {
  const [signed, text] = signedBytes(vector.body);
  check(signed.equals(Buffer.from(vector.signed_bytes)), "other bytes are signed");
  check(verify(null, signed, createPublicKey(vector.public_key), readSignature(text)), "the body does not verify");
  const changed = Buffer.concat([signed, Buffer.from(" ")]);
  check(!verify(null, changed, createPublicKey(vector.public_key), readSignature(text)), "any body verifies");
  checkSignatures(vector, signed);
});
each(vectors.refused, (vector) => {
  let refused = "nothing";
  try {
    signedBytes(vector.body);
  } catch (error) {
    refused = error instanceof Refusal ? error.message : String(error);
  }
  check(refused === vector.error, `refused for ${refused}, not for ${vector.error}`);
});
each(vectors.get, (vector) => {
  const lines = ["GET", vector.target, vector.client_id, ...(vector.timestamp === null ? [] : [vector.timestamp])];
  check(lines.join("\n") === vector.signed_bytes, "other lines are signed");
  checkSignatures(vector, Buffer.from(lines.join("\n")));
});
console.log(`node ${process.version}: ${checked} of ${vectors.post.length + vectors.refused.length + vectors.get.length} vectors`);
