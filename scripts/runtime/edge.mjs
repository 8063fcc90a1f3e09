// The local edge: the Worker of wrangler.toml in workerd, with KV, queue, bucket and cron in Miniflare.
//
// Usage: node edge.mjs '{"port": 0, "modules": "FOLDER", "state": null, ...}'
// Prints one JSON line when it is ready, and stops when its standard input ends.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { Log, LogLevel, Miniflare, convertV4MiniflareOptions } from "miniflare";
import { unstable_getMiniflareWorkerOptions as readWrangler } from "wrangler";

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, "../..");
const settings = JSON.parse(process.argv[2] ?? "{}");

// workerd's own binary is an optional dependency of the npm package, one for each platform.
const require = createRequire(import.meta.url);
process.env.USHER_WORKERD = require("workerd").default;
process.env.USHER_RUNTIME = path.join(root, "build/runtime");
process.env.MINIFLARE_WORKERD_PATH = path.join(here, "workerd");

function listFiles(folder) {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".pyc"))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
}

// The same modules as wrangler uploads; a test compares the two.
function readModules(folder) {
  const main = path.join(folder, "entry.py");
  const files = listFiles(folder);
  const own = [main, ...files.filter((file) => file !== main && file.endsWith(".py"))];
  const sdk = path.join(root, "python_modules");
  return [
    ...own.map((file) => ({ type: "PythonModule", path: file })),
    ...files.filter((file) => file.endsWith(".mjs")).map((file) => ({ type: "ESModule", path: file })),
    ...files.filter((file) => file.endsWith(".min.js")).map((file) => ({ type: "Text", path: file })),
    ...listFiles(sdk).map((file) => ({
      type: file.endsWith(".js") ? "ESModule" : "Data",
      path: path.join(folder, "python_modules", path.relative(sdk, file)),
      contents: file.endsWith(".js") ? fs.readFileSync(file, "utf8") : fs.readFileSync(file),
    })),
  ];
}

const wrangler = readWrangler(path.join(root, "wrangler.toml"));
const options = wrangler.workerOptions;
const folder = path.resolve(root, settings.modules);
const [bucket] = Object.keys(options.r2Buckets);
const [queue, dead] = Object.keys(options.queueConsumers);

const worker = {
  ...options,
  name: "usher",
  modules: readModules(folder),
  modulesRoot: folder,
  compatibilityFlags: [...options.compatibilityFlags, "python_workers_development", "experimental"],
  bindings: { ...options.bindings, ...settings.vars },
  r2Buckets: { [bucket]: { ...options.r2Buckets[bucket], s3Credentials: settings.s3 } },
  queueConsumers: {
    [queue]: { ...options.queueConsumers[queue], retryDelay: 0, ...settings.queue },
    [dead]: { ...options.queueConsumers[dead], retryDelay: 1, ...settings.dead },
  },
};
if (settings.assets === false) delete worker.assets;
if (settings.ratelimits !== undefined) worker.ratelimits = settings.ratelimits;

class Output extends Log {
  log(message) {
    process.stderr.write(`${message}\n`);
  }
}

const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    host: "127.0.0.1",
    port: settings.port ?? 0,
    cf: false,
    log: new Output(settings.verbose ? LogLevel.VERBOSE : LogLevel.WARN),
    logRequests: false,
    unsafeLocalExplorer: true,
    unsafeTriggerHandlers: true,
    telemetry: { enabled: false },
    resourcePersistencePath: settings.state ?? undefined,
    inspectorPort: settings.inspector,
    workers: [worker, ...(settings.workers ?? [])],
  }),
);

async function stop() {
  await miniflare.dispose();
  process.exit(0);
}
process.stdin.on("end", stop).resume();
process.on("SIGTERM", stop);
process.on("SIGINT", stop);

try {
  const url = await miniflare.ready;
  const [namespace] = Object.values(options.kvNamespaces).map((entry) => entry.id ?? entry);
  const ready = { url: url.origin, namespace, bucket: options.r2Buckets[bucket].id };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
} catch (error) {
  process.stderr.write(`error: the local edge did not start: ${error.message}\n`);
  process.exit(1);
}
