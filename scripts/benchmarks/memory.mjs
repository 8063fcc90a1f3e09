// Two things for `scripts/bench memory`, each with its settings as a JSON argument.
//
// {do: "load", url, headers, cookies, requests, connections, holds}: many requests, half of them with one of the cookies.
//   Of every four of either kind, two are read to the end, one is left after the first bytes of its body, and one while
//   the answer is still awaited, each time a little later. Prints {ended, aborted, early, failed, unlike}: `early` of the
//   aborted ones had no answer yet, `unlike` of the ended ones did not hold the text `holds`.
// {do: "heap", inspector, worker}: V8's heap of a Worker after a forced collection, in bytes. Prints {used, total}.
import http from "node:http";

// How requests end: the early ones in turn after up to so many milliseconds.
const WAYS = ["ended", "amid", "ended", "early"];
const PATIENCE_MS = 100;

const settings = JSON.parse(process.argv[2]);
const answer = await (settings.do === "load" ? load(settings) : readHeap(settings));
process.stdout.write(`${JSON.stringify(answer)}\n`);
process.exit(0);

async function load({ url, headers, cookies, requests, connections, holds }) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const counts = { ended: 0, aborted: 0, early: 0, failed: 0, unlike: 0 };
  let sent = 0;
  async function loop() {
    while (sent < requests) {
      sent += 1;
      const cookie = sent % 2 ? {} : { cookie: cookies[(sent >> 3) % cookies.length] };
      const options = { agent, headers: { ...headers, ...cookie } };
      const way = WAYS[(sent >> 1) % WAYS.length];
      const seen = await send(url, options, way, (sent * 7) % PATIENCE_MS);
      counts[seen.became] += 1;
      if (seen.became === "aborted" && !seen.answered) counts.early += 1;
      if (seen.became === "ended" && !seen.text.includes(holds)) counts.unlike += 1;
    }
  }
  await Promise.all(Array.from({ length: connections }, loop));
  return counts;
}

function send(url, options, way, patience_ms) {
  const leaves = way !== "ended";
  return new Promise((resolve) => {
    const seen = { text: "", answered: false };
    const become = (what) => resolve({ ...seen, became: what });
    const request = http.get(url, options, (response) => {
      seen.answered = true;
      response.on("end", () => become(response.statusCode === 200 ? "ended" : "failed"));
      response.on("error", () => become(leaves ? "aborted" : "failed"));
      response.on("data", (piece) => {
        if (leaves) request.destroy();
        else seen.text += piece;
      });
    });
    request.on("error", () => become(leaves ? "aborted" : "failed"));
    request.on("close", () => leaves && become("aborted"));
    if (way === "early") request.once("finish", () => setTimeout(() => request.socket.resetAndDestroy(), patience_ms));
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
