// Two things for `scripts/bench memory`, each with its settings as a JSON argument.
//
// {do: "load", url, headers, requests, connections, abort_every}: many requests, of which every second, say, is aborted:
//   the socket is destroyed after the first bytes of the body. Prints {ended, aborted, failed}.
// {do: "heap", inspector, worker}: V8's heap of a Worker after a forced collection, in bytes. Prints {used, total}.
import http from "node:http";

const settings = JSON.parse(process.argv[2]);
const answer = await (settings.do === "load" ? load(settings) : readHeap(settings));
process.stdout.write(`${JSON.stringify(answer)}\n`);
process.exit(0);

async function load({ url, headers, requests, connections, abort_every }) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const counts = { ended: 0, aborted: 0, failed: 0 };
  let sent = 0;
  async function loop() {
    while (sent < requests) {
      sent += 1;
      counts[await send(agent, url, headers, sent % abort_every === 0)] += 1;
    }
  }
  await Promise.all(Array.from({ length: connections }, loop));
  return counts;
}

function send(agent, url, headers, leaves) {
  return new Promise((resolve) => {
    const request = http.get(url, { agent, headers }, (response) => {
      response.on("end", () => resolve(response.statusCode === 200 ? "ended" : "failed"));
      response.on("error", () => resolve(leaves ? "aborted" : "failed"));
      response.once("data", () => leaves && request.destroy());
      response.resume();
    });
    request.on("error", () => resolve("failed"));
    request.on("close", () => leaves && resolve("aborted"));
  });
}

// A snapshot of the heap is what makes V8 collect everything; its text is thrown away. (workerd never answers
// `HeapProfiler.collectGarbage`.)
async function readHeap({ inspector, worker }) {
  const socket = new WebSocket(await findWorker(inspector, worker));
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", () => reject(new Error("the inspector does not answer")));
  });
  const waiting = new Map();
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(data);
    if (message.id !== undefined) waiting.get(message.id)(message.result);
  });
  function call(method, params = {}) {
    const id = waiting.size + 1;
    socket.send(JSON.stringify({ id, method, params }));
    return new Promise((resolve) => waiting.set(id, resolve));
  }
  await call("HeapProfiler.enable");
  await call("HeapProfiler.takeHeapSnapshot", { reportProgress: false });
  const { usedSize, totalSize } = await call("Runtime.getHeapUsage");
  socket.close();
  return { used: usedSize, total: totalSize };
}

async function findWorker(inspector, worker) {
  const answer = await fetch(`${inspector}/json`).catch(() => null);
  if (answer === null) throw new Error(`no inspector at ${inspector}: edge.mjs must pass inspectorPort to Miniflare`);
  const targets = await answer.json();
  const found = targets.find((target) => target.id.endsWith(worker));
  if (found === undefined) throw new Error(`the inspector knows no ${worker}: ${targets.map(({ id }) => id).join(", ")}`);
  return found.webSocketDebuggerUrl;
}
