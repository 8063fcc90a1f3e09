// The origin of the pages: from memory, so that it costs all arms the same and as little as possible.
export default {
  fetch(request, env) {
    const page = env.PAGES[new URL(request.url).pathname];
    if (page === undefined) return new Response("no such page", { status: 404 });
    const headers = { "content-type": "text/html; charset=utf-8", "cache-control": "public, max-age=60", etag: '"1"' };
    return new Response(page, { headers });
  },
};
