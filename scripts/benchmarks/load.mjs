// A closed loop of keep-alive clients over several arms, interleaved: in every round each arm is measured once, and the
// order rotates from round to round, so that a drift of the machine meets all arms alike.
//
// Reads the plan as JSON from standard input:
//   {rounds, requests, most_s, warmup, connections: [1, 8], deadline_s,
//    arms: [{name, url, headers, body, status, expect, slots}]}
// Prints `"warm"` after the warm-up, then one JSON line a measurement, which ends after so many requests or seconds.
// Bodies are read to the end; times are in milliseconds from sending the request. The body of every tenth answer is looked
// at afterwards: whether it holds the text `expect`, and each of the `slots` one of its HTML texts. If not, it has failed.
import fs from "node:fs";
import { Client } from "undici";

const LOOK_EVERY = 10;
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

// One request: the time to the first byte of the body, to its last, its size, and what was wrong (empty: nothing). With
// `keeps` also the pieces of the body.
function send(client, arm, path, keeps) {
  return new Promise((resolve) => {
    const started = performance.now();
    const seen = { first: 0, total: 0, bytes: 0, problem: "", answered: false, pieces: keeps ? [] : null };
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
          if (status !== arm.status) seen.problem = `HTTP ${status}`;
        },
        onResponseData(_, chunk) {
          if (seen.first === 0) seen.first = performance.now() - started;
          seen.bytes += chunk.length;
          seen.pieces?.push(chunk);
        },
        onResponseEnd: finish,
        onResponseError(_, error) {
          seen.problem = String(error);
          finish();
        },
      },
    );
  });
}

// What is wrong with a body.
function findProblem(arm, body) {
  if (!body.includes(arm.expect)) return `the answer does not hold ${arm.expect}`;
  for (const [name, htmls] of Object.entries(arm.slots)) {
    const slot = body.indexOf(`data-usher="${name}"`);
    const start = body.indexOf(">", slot) + 1;
    if (slot < 0) return `the answer has no slot ${name}`;
    if (!htmls.some((html) => body.startsWith(html, start))) {
      return `slot ${name} holds something else than it should: ${body.slice(start, start + 40)}`;
    }
  }
  return "";
}

async function measure(arm, connections, requests) {
  const { pathname, search } = new URL(arm.url);
  const results = [];
  let left = requests;
  const started = performance.now();
  const inTime = () => performance.now() - started < plan.most_s * 1000;
  async function loop(client) {
    for (let isFirst = true; left > 0 && inTime(); isFirst = false) {
      const keeps = (requests - left) % LOOK_EVERY === 0;
      left -= 1;
      let seen = await send(client, arm, pathname + search, keeps);
      // While the other arms had their turns, workerd may have closed the idle connection.
      if (isFirst && !seen.answered) seen = await send(client, arm, pathname + search, keeps);
      results.push(seen);
    }
  }
  await Promise.all(Array.from({ length: connections }, (_, i) => loop(clientOf(arm, i))));
  const elapsed_s = (performance.now() - started) / 1000;
  for (const seen of results) {
    if (!seen.problem && seen.pieces) seen.problem = findProblem(arm, Buffer.concat(seen.pieces).toString());
  }
  return { results, elapsed_s };
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
process.stdout.write('"warm"\n');
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
        failed: results.filter((each) => each.problem).length,
        problem: results.find((each) => each.problem)?.problem ?? "",
      };
      process.stdout.write(`${JSON.stringify(line)}\n`);
    }
  }
}
await Promise.all([...clients.values()].map((client) => client.close()));
