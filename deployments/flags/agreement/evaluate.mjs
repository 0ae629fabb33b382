// What Node's flagd core makes of documents. One JSON object comes in on stdin:
//   {"documents": […], "flag": key, "kind": "boolean" | "number" | "string" | "object", "subjects": [[user, tenant], …]}
// and one goes out: {"node", "core", "variants": [for each document, for each subject, a variant or null]},
// or {"node", "core", "refused": why} when flagd's own schema, which the core ships, refuses a document.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { FlagdCore, MemoryStorage } from "@openfeature/flagd-core";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const defaults = { boolean: false, number: 0, string: "", object: {} };
const resolvers = {
  boolean: "resolveBooleanEvaluation",
  number: "resolveNumberEvaluation",
  string: "resolveStringEvaluation",
  object: "resolveObjectEvaluation",
};

function contextOf([user, tenant]) {
  return { ...(user === null ? {} : { targetingKey: user }), ...(tenant === null ? {} : { tenant }) };
}

function variantsOf(document, { flag, kind, subjects }) {
  const storage = new MemoryStorage(silent);
  storage.setConfigurations(JSON.stringify(document), true);
  const core = new FlagdCore(storage, silent);
  const resolve = resolvers[kind];
  return subjects.map((subject) => {
    const answer = core[resolve](flag, defaults[kind], contextOf(subject));
    return answer.errorCode ? null : (answer.variant ?? null);
  });
}

// The schema's validator tells of every branch that did not fit: what lies deepest says most.
function reasonOf({ message, cause }) {
  const found = message.indexOf("[");
  if (found < 0) return `${message}: ${cause?.message ?? "it does not say why"}`;
  const faults = JSON.parse(message.slice(found)).filter(({ keyword }) => !["anyOf", "oneOf", "type"].includes(keyword));
  const depth = ({ instancePath }) => instancePath.split("/").length;
  const deepest = faults.reduce((one, other) => (depth(other) > depth(one) ? other : one), faults[0]);
  return deepest ? `${deepest.instancePath} ${deepest.message}` : message.slice(0, 300);
}

function answerTo(question) {
  const versions = {
    node: process.versions.node,
    core: createRequire(import.meta.url)("@openfeature/flagd-core/package.json").version,
  };
  try {
    return { ...versions, variants: question.documents.map((document) => variantsOf(document, question)) };
  } catch (error) {
    if (error.code !== "PARSE_ERROR") throw error;
    return { ...versions, refused: reasonOf(error) };
  }
}

process.stdout.write(JSON.stringify(answerTo(JSON.parse(readFileSync(0, "utf8")))));
