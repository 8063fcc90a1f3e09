// What is faster here than from Python, where every call across the language border costs microseconds, and every await
// hundreds: reading a request, waiting for its page and its profile, and writing the slots while the page streams by.
// Nothing is decided here, and nothing of a request is kept.

// On a touchpoint's URL the page is asked for whole and anew: a 304 or a part of it could not be rewritten.
const CONDITIONS = ["if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "range", "if-range"];
// Every response on a touchpoint's URL has these headers, whatever was decided. `private, no-cache` keeps the
// back-forward cache; `no-store` would disable it.
const CACHE = { "cache-control": "private, no-cache", "cdn-cache-control": "no-store" };
const VALIDATORS = ["etag", "last-modified", "expires", "age"];
// How long a message that nobody else keeps waits before it is sent again.
const PAUSES_MS = [300, 2_000];

const asText = { contentType: "text" };
const asHtml = { html: true };
const namesOf = new Map();
// What `introduce` was given.
let python;

/**
 * Say, once an isolate, by which functions Python is told, and after how many milliseconds a page tells of its slots
 * before its end. A page is known to Python by a number.
 *
 * - `took(number, text, problem)`: the profile's text (null: there is none), or why KV did not answer.
 * - `finish(number, described)`: the page has come (see describeResponse); what is to be done with it: undefined if its
 *   profile is still waited for; else an array: empty where it stays as it is; the Set-Cookie values, by lines; and
 *   where slots are to be written, the script's tag, and touchpoint and HTML of each slot in turn (undefined: the page's
 *   own content stays).
 * - `ended(number, slots, cause)`: the slots, by index, whose handler ran since the last time, since the document has
 *   ended ("end"), the client has left ("abort"), or the time is up ("timer"); what to send then, number and text of
 *   each message in turn, or undefined. After "failed" no slots are written.
 * - `failed(reason, detail)`: a failure, to be counted.
 * - `pack(number, text)`: the objects of a message, key and content in turn.
 * - `settled(number, problem)`: a message is in safe hands (the problem is empty), or it is not.
 */
export function introduce(exposureMs, took, finish, ended, failed, pack, settled) {
  python = { exposureMs, took, finish, ended, failed, pack, settled };
}

/** Method, URL, and the values of the named headers (joined by line feeds, which no header holds; empty if absent). */
export function describe(request, names) {
  let list = namesOf.get(names);
  if (list === undefined) {
    list = names.split("\n");
    namesOf.set(names, list);
  }
  const { headers } = request;
  const fields = [request.method, request.url];
  for (const name of list) fields.push(headers.get(name) ?? "");
  return fields.join("\n");
}

/** Status, content type and content encoding, a line each. */
function describeResponse({ status, headers }) {
  return `${status}\n${headers.get("content-type") ?? ""}\n${headers.get("content-encoding") ?? ""}`;
}

// A function that gives Python a promise to hand on gives it as `{ promise }`: a bare one would become a future, with
// callbacks of its own on either side of the border.

/**
 * Answer with a page, written as Python says when it has come. `key` is that of a profile that is read meanwhile (empty:
 * none), and that may keep the page waiting for so long; `begun` is what startPage gave, where it has been called.
 */
export function answerPage(ctx, env, request, cookies, number, key, marginMs, begun) {
  const fetchAgain = () => fetchPage(env, request, cookies);
  const page = writePage(ctx, env, request, begun?.promise ?? fetchAgain(), fetchAgain, number, key, marginMs);
  // The last resort, since Python is done by now: the page without us.
  return { promise: insist(page, () => fetchAgain().then(withoutUs)) };
}

/** Answer with what is none of Usher's pages, as it is; `begun` is what startPage gave, where it has been called. */
export function passThrough(env, request, begun) {
  const isRepeatable = request.method === "GET" || request.method === "HEAD";
  const fetchAgain = () => fetchUpstream(env, request);
  return { promise: insist(begun?.promise ?? fetchAgain(), isRepeatable ? fetchAgain : null) };
}

/** A response; where it fails, what is fetched again (unless its body is gone: null), and in the end a plain 502. */
function insist(responding, fetchAgain) {
  if (fetchAgain === null) return responding.catch(unreachable);
  return responding.catch((error) => {
    python.failed("request_failed", String(error));
    return fetchAgain().catch(unreachable);
  });
}

/** Start the fetch of a page. */
export function startPage(env, request, cookies) {
  return { promise: fetchPage(env, request, cookies) };
}

function withoutUs(response) {
  const isPage = response.status === 200 && /^text\/html\b/i.test(response.headers.get("content-type") ?? "");
  return isPage ? withHeaders(response, "") : response;
}

async function writePage(ctx, env, request, fetching, fetchAgain, number, key, marginMs) {
  const reading = key && readProfile(env, key, number);
  const response = await insist(fetching, fetchAgain);
  const described = describeResponse(response);
  let told = python.finish(number, described);
  if (told === undefined) {
    await waitAtMost(reading, marginMs);
    told = python.finish(number, described);
  }
  if (told.length === 0) return response;
  const [cookie, script, ...slots] = told;
  if (script === undefined) return withHeaders(response, cookie);
  try {
    return withHeaders(writeSlots(ctx, env, request, response, number, script, slots), cookie);
  } catch (error) {
    python.failed("rewriter_failed", String(error));
    python.ended(number, "", "failed");
    return withHeaders(response.bodyUsed ? await fetchAgain() : response, "");
  }
}

/** Fetch a page that is to be rewritten: whole, unconditional, and with the given Cookie header. */
async function fetchPage(env, request, cookies) {
  const headers = new Headers(request.headers);
  for (const name of CONDITIONS) headers.delete(name);
  if (cookies) headers.set("cookie", cookies);
  else headers.delete("cookie");
  return fetchUpstream(env, new Request(request.url, { method: request.method, headers, redirect: "manual" }));
}

/** Fetch a page or file, from the configured upstream, the assets, or the zone's own origin. */
async function fetchUpstream(env, request) {
  if (env.UPSTREAM) {
    const asked = new URL(request.url);
    const target = new URL(env.UPSTREAM);
    target.pathname = asked.pathname; // set part by part: a path like //host must not become another host
    target.search = asked.search;
    return fetch(new Request(target.href, request), { redirect: "manual" });
  }
  return env.ASSETS === undefined ? fetch(request) : env.ASSETS.fetch(request);
}

function unreachable(error) {
  python.failed("upstream_failed", String(error));
  const headers = { "cache-control": "no-store", "content-type": "text/plain; charset=utf-8" };
  return new Response("The site cannot be reached. Please try again later.\n", { status: 502, headers });
}

/** Read a profile and tell Python what KV answers; the promise says that it was told. Nothing leaves it. */
async function readProfile(env, key, number) {
  try {
    const text = await env.SCORES.get(key);
    python.took(number, text, "");
  } catch (error) {
    python.took(number, null, String(error) || "failed");
  }
}

/** Wait for a promise, but not longer than that. */
async function waitAtMost(promise, limitMs) {
  const { promise: over, resolve } = Promise.withResolvers();
  const timer = setTimeout(resolve, limitMs);
  await Promise.race([promise, over]);
  clearTimeout(timer);
}

/** The response with the headers that every response on a touchpoint's URL carries; `cookie` is a Set-Cookie value a
 * line. */
function withHeaders(response, cookie) {
  const result = new Response(response.body, response);
  for (const name of VALIDATORS) result.headers.delete(name);
  for (const name in CACHE) result.headers.set(name, CACHE[name]);
  if (cookie) for (const each of cookie.split("\n")) result.headers.append("set-cookie", each);
  return result;
}

/**
 * Send messages to the Queue, number and text of each in turn. Where nobody else keeps what is in them (not `isKept`), a
 * message that is refused is sent again, and written to the bucket in the end. Python is told what became of each.
 * Resolves with whether all are in safe hands.
 */
export async function send(env, isKept, messages) {
  const sending = [];
  for (let i = 0; i < messages.length; i += 2) {
    const [number, text] = [messages[i], messages[i + 1]];
    const settle = (problem) => (python.settled(number, problem), !problem);
    sending.push((isKept ? sendOne(env, text, []) : sendOrStore(env, number, text)).then(settle));
  }
  return (await Promise.all(sending)).every(Boolean);
}

async function sendOne(env, text, pauses) {
  for (let i = 0; ; i += 1) {
    try {
      await env.EVENTS.send(text, asText);
      return "";
    } catch (error) {
      if (i === pauses.length) return String(error) || "refused";
      await new Promise((resolve) => setTimeout(resolve, pauses[i]));
    }
  }
}

async function sendOrStore(env, number, text) {
  const problem = await sendOne(env, text, PAUSES_MS);
  if (!problem) return "";
  try {
    const objects = python.pack(number, text);
    for (let i = 0; i < objects.length; i += 2) await env.LAKE.put(objects[i], objects[i + 1]);
    return "";
  } catch (error) {
    return `${problem}; ${error}`;
  }
}

/**
 * The response with its slots written, the script in its head, and nothing else changed. When the document has ended or
 * the client has left, Python is told which slots were, and what it gives is sent; once before, where the time is up. An
 * exception in a handler would empty the body, so none leaves it.
 */
function writeSlots(ctx, env, request, response, number, script, slots) {
  const written = new Set();
  const rewriter = new HTMLRewriter();
  let tag = script;
  for (let i = 0; i < slots.length; i += 2) {
    const html = slots[i + 1];
    rewriter.on(`[data-usher="${slots[i]}"]`, {
      element(element) {
        try {
          if (html !== undefined && html !== null) element.setInnerContent(html, asHtml);
          written.add(i / 2);
        } catch (error) {
          python.failed("slot_failed", String(error));
        }
      },
    });
  }
  rewriter.on("head", {
    element(element) {
      try {
        element.prepend(tag, asHtml); // HTML may leave the head's end tag out, so the script goes to its start
        tag = "";
      } catch (error) {
        python.failed("script_failed", String(error));
      }
    },
  });
  const { promise: over, resolve } = Promise.withResolvers();
  rewriter.onDocument({
    end(end) {
      try {
        if (tag) end.append(tag, asHtml); // the page had no head tag
      } catch (error) {
        python.failed("script_failed", String(error));
      }
      resolve("end");
    },
  });
  const rewritten = rewriter.transform(response); // raises for a charset that the runtime does not know
  const report = async (cause) => {
    const slots = [...written].join();
    written.clear();
    try {
      const messages = python.ended(number, slots, cause);
      if (messages) await send(env, false, messages);
    } catch (error) {
      python.failed("queue_failed", String(error));
    }
  };
  const timer = setTimeout(() => ctx.waitUntil(report("timer")), python.exposureMs);
  if (request.signal.aborted) resolve("abort");
  else request.signal.addEventListener("abort", () => resolve("abort"));
  ctx.waitUntil(
    over.then((cause) => {
      clearTimeout(timer);
      return report(cause);
    }),
  );
  return rewritten;
}
