// As observer.py, with Node's own core of flagd over a plain gRPC stream of node:http2:
//   node observer.mjs MODULES HOST:PORT CA FLAG USERS OUT
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:http2";
import { createRequire } from "node:module";

const [modules, address, ca, flag, users, out] = process.argv.slice(2);
const { FlagdCore, MemoryStorage } = createRequire(`${modules}/package.json`)("@openfeature/flagd-core");
const silent = { debug() {}, info() {}, warn() {}, error() {} };
const storage = new MemoryStorage(silent);
const core = new FlagdCore(storage, silent);
const asked = JSON.parse(users).map((targetingKey) => ({ targetingKey }));

// A message of protobuf's: field 1 is the document, in text.
function documentOf(message) {
  for (let at = 0; at < message.length; ) {
    const tag = message[at++];
    let length = 0;
    for (let shift = 0, byte = 0x80; byte & 0x80; shift += 7) length |= ((byte = message[at++]) & 0x7f) << shift;
    if (tag === 0x0a) return message.subarray(at, at + length).toString("utf8");
    at += length;
  }
  return null;
}

function follow() {
  const session = connect(`https://${address}`, { ca: readFileSync(ca) });
  let again = () => {
    again = () => {};
    session.destroy();
    setTimeout(follow, 100);
  };
  session.on("error", () => again());
  session.on("close", () => again());
  const stream = session.request({
    ":method": "POST",
    ":path": "/flagd.sync.v1.FlagSyncService/SyncFlags",
    "content-type": "application/grpc",
    te: "trailers",
  });
  let held = Buffer.alloc(0);
  stream.on("data", (piece) => {
    held = Buffer.concat([held, piece]);
    while (held.length >= 5 && held.length >= 5 + held.readUInt32BE(1)) {
      const end = 5 + held.readUInt32BE(1);
      const document = documentOf(held.subarray(5, end));
      if (document) storage.setConfigurations(document);
      held = held.subarray(end);
    }
  });
  stream.on("error", () => again());
  stream.on("end", () => again());
  stream.on("close", () => again());
  // A request without any field.
  stream.end(Buffer.alloc(5));
}

writeFileSync(out, "");
follow();
setInterval(() => {
  const at = (Date.now() / 1000).toFixed(3);
  const got = asked.map((context) => Number(core.resolveBooleanEvaluation(flag, false, context).value === true));
  appendFileSync(out, `${at} ${got.join("")}\n`);
}, 100);
