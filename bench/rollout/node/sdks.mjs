// Node SDKs that note when they evaluate a new value: node sdks.mjs FLAG FIRST COUNT HOST PORT CA_FILE [AUTHORITY]
// As bench/rollout/sdks.py: "ready" once all have flags, then a line whenever an SDK first evaluates another value: SDK, moment of
// CLOCK_MONOTONIC (ns), which is Python's clock too, 1 or 0. It ends with its input.
import { writeSync } from "node:fs";
import { createRequire } from "node:module";
import { OpenFeature, ProviderEvents } from "@openfeature/server-sdk";
import { FlagdProvider } from "@openfeature/flagd-provider";

const [flag, first, count, host, port, certPath, defaultAuthority] = process.argv.slice(2);

// Applications have a connection each; gRPC gives all channels of one process the same, and the provider has no option for it.
const pool = createRequire(import.meta.url)("@grpc/grpc-js/build/src/subchannel-pool.js");
pool.getSubchannelPool = () => new pool.SubchannelPool();

async function listen(name) {
  const provider = new FlagdProvider({
    resolverType: "in-process",
    host,
    port: Number(port),
    tls: true,
    certPath,
    defaultAuthority,
    deadlineMs: 30_000,
    keepAliveTime: 10_000,
    retryBackoffMs: 100,
    retryBackoffMaxMs: 250,
  });
  await OpenFeature.setProviderAndWait(name, provider);
  const client = OpenFeature.getClient(name);
  const evaluate = () => client.getBooleanValue(flag, false, { targetingKey: name });
  let last = await evaluate();
  client.addHandler(ProviderEvents.ConfigurationChanged, async () => {
    const value = await evaluate();
    if (value !== last) {
      const at = process.hrtime.bigint();
      last = value;
      writeSync(1, `${name} ${at} ${Number(value)}\n`);
    }
  });
}

const numbers = Array.from({ length: Number(count) }, (_, n) => Number(first) + n);
await Promise.all(numbers.map((number) => listen(`node-${number}`)));
writeSync(1, "ready\n");
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
