// What a JavaScript Worker does with GrowthBook's SDK for the same page: as many experiments as there are touchpoints,
// their HTML written into the same slots, the same headers, and one queue message of what was shown. The payload is
// read from KV once, and the client kept for the isolate's life.
import { GrowthBookClient } from "@growthbook/growthbook";

const REMOVED = ["etag", "last-modified", "expires", "age"];
const COOKIE = "gbuuid";
let client;
let features;

async function open(env) {
  if (client === undefined) {
    const payload = JSON.parse(await env.SCORES.get("growthbook"));
    features = JSON.parse(env.FEATURES);
    client = new GrowthBookClient().initSync({ payload });
  }
  return client;
}

function readId(request) {
  const found = /(?:^|;\s*)gbuuid=([^;]+)/.exec(request.headers.get("cookie") ?? "");
  return found ? found[1] : crypto.randomUUID();
}

function attributesOf(request, id, path) {
  const agent = request.headers.get("user-agent") ?? "";
  const language = (request.headers.get("accept-language") ?? "").slice(0, 2);
  return { id, language, path, device: /Mobi/.test(agent) ? "mobile" : "desktop" };
}

function rewrite(page, html, id, onEnd) {
  const rewriter = new HTMLRewriter().onDocument({ end: onEnd });
  for (const [name, text] of html) {
    rewriter.on(`[data-usher="${name}"]`, { element: (slot) => slot.setInnerContent(text, { html: true }) });
  }
  const rewritten = rewriter.transform(page);
  const response = new Response(rewritten.body, rewritten);
  for (const name of REMOVED) response.headers.delete(name);
  response.headers.set("cache-control", "private, no-cache");
  response.headers.set("cdn-cache-control", "no-store");
  response.headers.append("set-cookie", `${COOKIE}=${id}; Path=/; Max-Age=34560000; Secure; HttpOnly; SameSite=Lax`);
  return response;
}

export default {
  async fetch(request, env, ctx) {
    const page = env.ASSETS.fetch(request);
    const id = readId(request);
    const path = new URL(request.url).pathname;
    const exposures = [];
    const user = (await open(env)).createScopedInstance({
      attributes: attributesOf(request, id, path),
      trackingCallback: (experiment, result) =>
        exposures.push(`q${JSON.stringify({ visitor: id, experiment: experiment.key, variation: result.key, path })}`),
    });
    const html = features[path].map((name) => [name, user.getFeatureValue(name, "")]);
    const { promise: ended, resolve } = Promise.withResolvers();
    const response = rewrite(await page, html, id, resolve);
    ctx.waitUntil(ended.then(() => env.EVENTS.send(exposures.join("\n"), { contentType: "text" })));
    return response;
  },
};
