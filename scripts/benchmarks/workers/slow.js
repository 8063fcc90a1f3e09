// A slow origin: the first tenth of a page at once, the rest in pieces; `PAUSE_MS` after each.
import text from "./pages.json";

const PAGES = JSON.parse(text);
const PIECES = 10;

export default {
  fetch(request, env, ctx) {
    const page = PAGES[new URL(request.url).pathname];
    if (page === undefined) return new Response("no such page", { status: 404 });
    const body = new TextEncoder().encode(page);
    const { readable, writable } = new TransformStream();
    ctx.waitUntil(send(body, writable.getWriter(), Number(env.PAUSE_MS)).catch(() => {}));
    return new Response(readable, { headers: { "content-type": "text/html; charset=utf-8" } });
  },
};

async function send(body, writer, pause_ms) {
  const size = Math.ceil(body.length / PIECES);
  for (let at = 0; at < body.length; at += size) {
    if (at > 0) await scheduler.wait(pause_ms);
    await writer.write(body.subarray(at, at + size));
  }
  await writer.close();
}
