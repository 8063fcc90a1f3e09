// The browser's half of Usher: what happens on this page, told to the edge.
//
// An event stays in localStorage until the edge has answered for it, which the edge says in a header of its own: what
// a firewall, a login or a missing route answers counts for nothing. What went unanswered, any later page of the site
// sends again, under the same id. At most 100 events are kept; the oldest go first.
//
// Served is usher.min.js, at most 2 KB of gzip: after a change, run `python -m scripts.minify`. It also puts in the
// number of the event schema for SCHEMA.
(() => {
  const { view, fetched, gpc } = document.currentScript.dataset;
  // The site honours Global Privacy Control and the browser sends it: nothing is noted, kept or sent.
  if (gpc && navigator.globalPrivacyControl) return;

  // Begins the keys of kept events; time and tab follow, so they sort by age. Three digits sort as numbers do: what a
  // script of a newer schema has kept sorts behind ours and is left to it, for an edge that knows ours may not know it.
  const KEY = `usher${100 + SCHEMA}!`;
  let tab = crypto.randomUUID();
  let kept = {}; // without storage, events live as long as the page
  try {
    tab = sessionStorage.usher ||= tab;
    kept = localStorage;
  } catch {}
  const keys = () => Object.keys(kept).filter((key) => key > "usher1" && key < KEY + "~").sort();

  const flying = new Set();
  let count = 1e3; // as many digits for all, so that they sort
  let pause = 15e3; // doubled before it is made
  let timer;
  const sendIn = (delay_ms) => {
    clearTimeout(timer);
    timer = setTimeout(send, delay_ms);
  };
  // One batch at a time, but for the page's last: browsers carry 64 KB for pages that are left.
  const send = async (isLast) => {
    if (flying.size && !isLast) return;
    const now = Date.now();
    // Not a number where the edge has not asked to wait; beyond an hour where the clock was set back since.
    const wait = kept.usher - now;
    if (wait > 0 && wait < 4e6) return sendIn(wait);
    const batch = [];
    let size = 0;
    for (const key of keys()) {
      // What another tab has kept just now, it is sending itself.
      if (flying.has(key) || (!key.includes(tab) && now - parseInt(key.slice(9), 36) < 5e3)) continue;
      size += new Blob([kept[key]]).size;
      if (size > 32e3 || batch.length > 99) break;
      batch.push(key);
    }
    if (!batch.length) return;
    const body = `{"schema":${SCHEMA},"sent_ms":${now},"events":[${batch.map((key) => kept[key])}]}`;
    // Nothing says what became of a beacon, so its events stay.
    if (isLast && !("keepalive" in Request.prototype)) return navigator.sendBeacon("/_usher/events", body);
    for (const key of batch) flying.add(key);
    let delay_ms = 3e4;
    try {
      const response = await fetch("/_usher/events", { method: "POST", keepalive: true, body });
      await response.text(); // until then it counts as on its way
      delay_ms = response.headers.get("usher")
        ? 0
        : Math.min(response.headers.get("retry-after") * 1e3 || (pause *= 2), 36e5);
      // Without a visitor's cookie (401) the next page, which brings one, need not wait.
      if (delay_ms && response.status != 401) kept.usher = Date.now() + delay_ms;
    } catch {}
    for (const key of batch) {
      flying.delete(key);
      if (!delay_ms) delete kept[key];
    }
    sendIn(delay_ms);
  };

  const keep = (type, fields) => {
    const created_ms = Date.now();
    const id = `${created_ms.toString(36)}-${tab}-${view}-${count++}`;
    const event = JSON.stringify({ ...fields, event_id: fields?.event_id ?? id, type, created_ms, page_view: view });
    if (event.length > 1e4) throw RangeError("usher: shorten the event");
    try {
      kept[KEY + id] = event;
    } catch {
      kept = { ...kept, [KEY + id]: event }; // the storage is full
    }
    for (const key of keys().slice(0, -100)) delete kept[key];
    queueMicrotask(send); // what is tracked in one go is sent in one batch
  };
  // A page that is rendered ahead of its time has not happened until it is shown.
  const ready =
    document.prerendering && new Promise((resolve) => document.addEventListener("prerenderingchange", resolve));
  const add = async (type, fields) => {
    await ready;
    keep(type, fields);
  };

  // Notes for the edge, which reads them with the next page that is asked for: the last three keys with their values.
  const note = (cookie, between, key, value, age_s) => {
    const noted = document.cookie.match(`(^|; )${cookie}=([^;]+)`)?.[2].split(between) ?? [];
    const notes = [...noted.filter((each) => !each.startsWith(key)), key + value].slice(-3);
    document.cookie = `${cookie}=${notes.join(between)}; path=/; max-age=${age_s}; samesite=lax; secure`;
  };

  // A page that the browser takes from its cache again is the same view, so its event has the same id. What is too long
  // is cut between characters: the edge would refuse the whole event.
  add("page_view", {
    event_id: "page_view-" + view,
    url: (location.pathname + location.search).slice(0, 2e3),
    referrer: document.referrer.slice(0, 2e3),
    category: document.querySelector('meta[name="usher:category"]')?.content.match(/.{0,200}/su)[0],
    language: navigator.language,
    viewport_width: innerWidth,
    viewport_height: innerHeight,
    driven: navigator.webdriver || undefined,
  });

  let bottom = 0; // how far down has been seen, in pixels; 0 while nothing has
  let idle = 0;
  let seconds = 0;
  let told;
  const inView = new Map();
  const sections = new Set();

  // The visitor sees the page, and does something on it; or does not see it any more.
  const look = () => {
    if (document.hidden) return bottom && leave();
    if (fetched && !bottom) add("shown", { event_id: "shown-" + view });
    idle = 0;
    bottom = Math.max(bottom, scrollY + innerHeight);
  };
  const measure = () => Math.min(Math.round((bottom / document.documentElement.scrollHeight) * 100), 100);
  // What the edge folds with the next page. It lasts a week, as long as Safari keeps what scripts write.
  const noteReading = () => {
    if (bottom) note("usher-left", "~", view + ".", measure() + "." + seconds, 604800);
  };
  // Each engagement event tells all there is of its page view so far.
  const leave = () => {
    const engagement = { depth: measure(), engaged_ms: seconds * 1e3, sections: [...sections].slice(0, 20) };
    if (bottom && told != (told = JSON.stringify(engagement))) keep("engagement", engagement);
    noteReading();
    send(true);
  };

  setInterval(() => {
    if (document.hidden) return;
    for (const [section, ticks] of inView) {
      if (ticks) sections.add(section.dataset.usherSection.match(/.{0,100}/su)[0]);
      inView.set(section, 1);
    }
    if (document.hasFocus() && idle++ < 30) seconds++;
  }, 1e3);
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, intersectionRatio, intersectionRect } of entries) {
        // A section too tall to be half visible counts where it fills half of the window.
        if (intersectionRatio < 0.5 && intersectionRect.height < innerHeight / 2) inView.delete(target);
        else inView.set(target, inView.get(target));
      }
    },
    { threshold: [0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5] },
  );
  for (const section of document.querySelectorAll("[data-usher-section]")) observer.observe(section);

  for (const type of ["scroll", "pointermove", "pointerdown", "keydown", "visibilitychange"]) addEventListener(type, look);
  addEventListener("pagehide", leave);
  addEventListener("online", sendIn); // an event is no number of milliseconds: at once
  for (const type of ["click", "auxclick"])
    addEventListener(
      type,
      ({ target, button }) => {
        noteReading(); // where this leads to another page, it is asked for before this one is left
        const goal = target.closest?.("[data-usher-goal]");
        // The middle button (1) follows links, and nothing else.
        if (goal && button < (target.closest("a") ? 2 : 1))
          add("goal", { name: goal.dataset.usherGoal, touchpoint: goal.closest("[data-usher]")?.dataset.usher });
      },
      true,
    );
  look();

  const STANDARD = ["search", "click", "add_to_cart", "purchase", "sign_up", "feature_used", "goal"];
  const waiting = window.usher; // what was pushed before this script ran
  window.usher = {
    track: (name, fields) => {
      const { event_id, touchpoint, ...properties } = { ...fields };
      return STANDARD.includes(name) ? add(name, fields) : add("custom", { event_id, touchpoint, name, properties });
    },
    identify: (user, signature) => add("identify", { user, signature }),
    prefer: (question, answer) => {
      note("usher-said", ".", question + ":", answer, 34560000);
      add("preference", { question, answer });
    },
    push: async ([name, ...given]) => usher[name](...given),
  };
  waiting?.forEach?.(usher.push);
})();
