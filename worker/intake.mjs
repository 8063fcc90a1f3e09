// The intake's JavaScript side: what would take several calls across the language border takes one. Nothing is decided
// here but what the limiters and the limits say.

/**
 * Ask the rate limiters, then read the body as text. `limits` holds the binding of each limiter and its key in turn,
 * joined by line feeds; one that is not bound lets everything through, and one that fails is counted by `failed`.
 *
 * Resolves with a word and, after a line feed, what belongs to it: `limited` and the binding, `large` (more than `most`
 * bytes), `text` and the body, `binary` (no UTF-8), or `lost` (it ended too early).
 */
export async function receive(env, request, most, limits, failed) {
  const pairs = limits ? limits.split("\n") : [];
  const asked = [];
  for (let i = 0; i < pairs.length; i += 2) asked.push(isWithin(env[pairs[i]], pairs[i + 1], failed));
  const refused = (await Promise.all(asked)).indexOf(false);
  if (refused >= 0) return `limited\n${pairs[2 * refused]}`;
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let left = most;
  let text = "";
  let failure = "lost\n";
  try {
    for await (const chunk of request.body ?? []) {
      left -= chunk.byteLength;
      if (left < 0) return "large\n";
      failure = "binary\n";
      text += decoder.decode(chunk, { stream: true });
      failure = "lost\n";
    }
    failure = "binary\n";
    return `text\n${text}${decoder.decode()}`;
  } catch {
    return failure;
  }
}

async function isWithin(limiter, key, failed) {
  if (!limiter) return true;
  try {
    return (await limiter.limit({ key })).success;
  } catch (error) {
    failed("limit_failed", String(error));
    return true;
  }
}

/** A response of JSON that nobody keeps; `headers` holds name and value in turn, joined by line feeds. */
export function answer(status, body, headers) {
  const response = new Response(body || null, { status, headers: { "cache-control": "no-store" } });
  if (body) response.headers.set("content-type", "application/json");
  const pairs = headers.split("\n");
  for (let i = 0; i < pairs.length; i += 2) response.headers.set(pairs[i], pairs[i + 1]);
  return response;
}
