// A closed loop of keep-alive clients over several arms, interleaved: in every round each arm is measured once, and the
// order rotates from round to round, so that a drift of the machine meets all arms alike.
//
// Reads the plan as JSON from standard input:
//   {rounds, requests, most_s, warmup, connections: [1, 8], deadline_s, arms: [{name, url, headers, body, status}]}
// Prints one JSON line a measurement, which ends after so many requests or seconds. Bodies are read to the end; times are
// in milliseconds from sending the request.
import fs from "node:fs";
import { Client } from "undici";

const plan = JSON.parse(fs.readFileSync(0, "utf8"));
const clients = new Map();

function clientOf(arm, index) {
  const key = `${arm.name} ${index}`;
  if (!clients.has(key)) {
    const options = { pipelining: 1, keepAliveTimeout: 600_000, headersTimeout: 30_000, bodyTimeout: 30_000 };
    clients.set(key, new Client(new URL(arm.url).origin, options));
  }
  return clients.get(key);
}

// One request: the time to the first byte of the body, to its last, its size, and whether it went well.
function send(client, arm, path) {
  return new Promise((resolve) => {
    const started = performance.now();
    const seen = { first: 0, total: 0, bytes: 0, ok: false, answered: false };
    const finish = () => {
      seen.total = performance.now() - started;
      if (seen.first === 0) seen.first = seen.total;
      resolve(seen);
    };
    client.dispatch(
      { path, method: arm.body ? "POST" : "GET", headers: arm.headers, body: arm.body || null },
      {
        onRequestStart() {},
        onResponseStart(_, status) {
          seen.answered = true;
          seen.ok = status === arm.status;
        },
        onResponseData(_, chunk) {
          if (seen.first === 0) seen.first = performance.now() - started;
          seen.bytes += chunk.length;
        },
        onResponseEnd: finish,
        onResponseError() {
          seen.ok = false;
          finish();
        },
      },
    );
  });
}

async function measure(arm, connections, requests) {
  const { pathname, search } = new URL(arm.url);
  const results = [];
  let left = requests;
  const started = performance.now();
  const inTime = () => performance.now() - started < plan.most_s * 1000;
  async function loop(client) {
    for (let isFirst = true; left > 0 && inTime(); isFirst = false) {
      left -= 1;
      let seen = await send(client, arm, pathname + search);
      // While the other arms had their turns, workerd may have closed the idle connection.
      if (isFirst && !seen.answered) seen = await send(client, arm, pathname + search);
      results.push(seen);
    }
  }
  await Promise.all(Array.from({ length: connections }, (_, i) => loop(clientOf(arm, i))));
  return { results, elapsed_s: (performance.now() - started) / 1000 };
}

function quantiles(values) {
  const sorted = Float64Array.from(values).sort();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

setTimeout(() => {
  process.stderr.write(`error: the load did not end within ${plan.deadline_s} s\n`);
  process.exit(1);
}, plan.deadline_s * 1000).unref();

for (const arm of plan.arms) {
  for (const connections of plan.connections) await measure(arm, connections, plan.warmup);
}
for (let round = 0; round < plan.rounds; round += 1) {
  for (let i = 0; i < plan.arms.length; i += 1) {
    const arm = plan.arms[(i + round) % plan.arms.length];
    for (const connections of plan.connections) {
      const { results, elapsed_s } = await measure(arm, connections, plan.requests);
      const line = {
        arm: arm.name,
        round,
        connections,
        total_ms: quantiles(results.map((each) => each.total)),
        first_byte_ms: quantiles(results.map((each) => each.first)),
        per_second: results.length / elapsed_s,
        bytes: quantiles(results.map((each) => each.bytes)).p50,
        requests: results.length,
        failed: results.filter((each) => !each.ok).length,
      };
      process.stdout.write(`${JSON.stringify(line)}\n`);
    }
  }
}
await Promise.all([...clients.values()].map((client) => client.close()));
