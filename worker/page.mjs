// What is faster here than from Python, where every call across the language border costs microseconds: reading a
// request, asking for its page, and writing the slots while the page streams by. Nothing is decided here, and nothing of
// a request is kept.

const namesOf = new Map();

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

/** Start the fetch of a page that is to be rewritten: whole, unconditional, and with the given Cookie header. */
export function fetchPage(env, request, removed, cookies) {
  const headers = new Headers(request.headers);
  for (const name of removed.split("\n")) headers.delete(name);
  if (cookies) headers.set("cookie", cookies);
  else headers.delete("cookie");
  return fetchUpstream(env, new Request(request.url, { method: request.method, headers, redirect: "manual" }));
}

/** Start to read a profile. What KV answers is told to `took(number, text, problem)`; the promise says that it was. */
export function readProfile(scores, key, number, took) {
  return scores.get(key).then(
    (text) => took(number, text, ""),
    (error) => took(number, null, String(error) || "failed"),
  );
}

/** Wait for a promise, but not longer than that. */
export async function waitAtMost(promise, limitMs) {
  const { promise: over, resolve } = Promise.withResolvers();
  const timer = setTimeout(resolve, limitMs);
  await Promise.race([promise, over]);
  clearTimeout(timer);
}

/** Start the fetch of a page or file, from the configured upstream, the assets, or the zone's own origin. */
export function fetchUpstream(env, request) {
  if (env.UPSTREAM) {
    const asked = new URL(request.url);
    const target = new URL(env.UPSTREAM);
    target.pathname = asked.pathname; // set part by part: a path like //host must not become another host
    target.search = asked.search;
    return fetch(new Request(target.href, request), { redirect: "manual" });
  }
  return env.ASSETS === undefined ? fetch(request) : env.ASSETS.fetch(request);
}

/** The response with the headers that every response on a touchpoint's URL carries; `set` holds name and value in turn,
 * `cookie` a Set-Cookie value a line. */
export function withHeaders(response, removed, set, cookie) {
  const result = new Response(response.body, response);
  for (const name of removed.split("\n")) result.headers.delete(name);
  const pairs = set.split("\n");
  for (let i = 0; i < pairs.length; i += 2) result.headers.set(pairs[i], pairs[i + 1]);
  if (cookie) for (const each of cookie.split("\n")) result.headers.append("set-cookie", each);
  return result;
}

const asText = { contentType: "text" };
// How long a message that nobody else keeps waits before it is sent again.
const PAUSES_MS = [300, 2_000];

/**
 * Send messages to the Queue; `messages` holds the number and the text of each in turn. Where nobody else keeps what is in
 * them, `bucket` is given: a message that is refused is then sent again, and written to the bucket in the end, as the
 * objects that `pack(number, text)` makes of it (key and content in turn). `settled` is told the number of each, and the
 * problem where there was one in the end. Resolves with whether all are in safe hands.
 */
export async function send(queue, bucket, pack, settled, ...messages) {
  const sending = [];
  for (let i = 0; i < messages.length; i += 2) {
    const [number, text] = [messages[i], messages[i + 1]];
    const settle = (problem) => (settled(number, problem), !problem);
    const sent = bucket ? sendOrStore(queue, bucket, () => pack(number, text), text) : sendOne(queue, text, []);
    sending.push(sent.then(settle));
  }
  return (await Promise.all(sending)).every(Boolean);
}

async function sendOne(queue, text, pauses) {
  for (let i = 0; ; i += 1) {
    try {
      await queue.send(text, asText);
      return "";
    } catch (error) {
      if (i === pauses.length) return String(error) || "refused";
      await new Promise((resolve) => setTimeout(resolve, pauses[i]));
    }
  }
}

async function sendOrStore(queue, bucket, pack, text) {
  const problem = await sendOne(queue, text, PAUSES_MS);
  if (!problem) return "";
  try {
    const objects = pack();
    for (let i = 0; i < objects.length; i += 2) await bucket.put(objects[i], objects[i + 1]);
    return "";
  } catch (error) {
    return `${problem}; ${error}`;
  }
}

const asHtml = { html: true };

/**
 * The response with its slots written, the script in its head, and nothing else changed.
 *
 * `slots` are touchpoint and HTML in turn (undefined: the page's own content stays). When the document has ended or the
 * client has left, `ended(number, written, cause)` is called, with the indices of the slots whose handler ran, and what
 * it returns is awaited; once before, with those until then, where the time is up ("timer"). An exception in a handler
 * would empty the body, so none leaves it; `failed(reason, detail)` counts them.
 */
export function writeSlots(ctx, request, response, number, timeoutMs, script, ended, failed, ...slots) {
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
          failed("slot_failed", String(error));
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
        failed("script_failed", String(error));
      }
    },
  });
  const { promise: over, resolve } = Promise.withResolvers();
  rewriter.onDocument({
    end(end) {
      try {
        if (tag) end.append(tag, asHtml); // the page had no head tag
      } catch (error) {
        failed("script_failed", String(error));
      }
      resolve("end");
    },
  });
  const rewritten = rewriter.transform(response); // raises for a charset that the runtime does not know
  const report = async (cause) => {
    const slots = [...written].join();
    written.clear();
    try {
      await ended(number, slots, cause);
    } catch (error) {
      failed("queue_failed", String(error));
    }
  };
  const timer = setTimeout(() => ctx.waitUntil(report("timer")), timeoutMs);
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
