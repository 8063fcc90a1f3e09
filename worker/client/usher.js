// The browser's half of Usher: what happens on this page, told to the edge.
//
// An event stays in localStorage until the edge has answered for it. What went unanswered, any later page of the site
// sends again, under the same id. At most 100 events are kept; the oldest go first.
//
// Served is usher.min.js, at most 2 KB of gzip: after a change, run `python -m scripts.minify`.
(() => {
  const { view, fetched, gpc } = document.currentScript.dataset;
  // The site honours Global Privacy Control and the browser sends it: nothing is noted, kept or sent.
  if (gpc && navigator.globalPrivacyControl) return;

  const PATH = "/_usher/events";
  const KEY = "usher!"; // begins the keys of kept events; time and tab follow, so they sort by age
  let tab = crypto.randomUUID();
  let kept = {}; // without storage, events live as long as the page
  try {
    tab = sessionStorage.usher ||= tab;
    kept = localStorage;
  } catch {}
  const keys = () => Object.keys(kept).filter((key) => key.startsWith(KEY)).sort();

  const flying = new Set();
  let count = 1e3; // as many digits for all, so that they sort
  let isBusy;
  let timer;
  const sendIn = (delay_ms) => {
    clearTimeout(timer);
    timer = setTimeout(send, delay_ms);
  };
  // One batch at a time, but for the page's last: browsers carry 64 KB for pages that are left.
  const send = async (isLast) => {
    if (isBusy && !isLast) return;
    const now = Date.now();
    // Not a number where the edge has not asked to wait; beyond an hour where the clock was set back since.
    const wait = kept.usher - now;
    if (wait > 0 && wait < 4e6) return sendIn(wait);
    const batch = [];
    let size = 0;
    for (const key of keys()) {
      // What another tab has kept just now, it is sending itself.
      if (flying.has(key) || (!key.includes(tab) && now - parseInt(key.slice(6), 36) < 5e3)) continue;
      size += kept[key].length; // a character takes three bytes at most
      if (size > 2e4 || batch.length > 99) break;
      batch.push(key);
      flying.add(key);
    }
    if (!batch.length) return;
    const body = `{"sent_ms":${now},"events":[${batch.map((key) => kept[key])}]}`;
    if (isLast && !("keepalive" in Request.prototype)) return navigator.sendBeacon(PATH, body);
    isBusy = true;
    let pause = 3e4;
    let isDone;
    try {
      const response = await fetch(PATH, { method: "POST", keepalive: true, body });
      await response.text(); // until then it counts as on its way
      isDone = response.status != 429 && response.status < 500;
      pause = isDone ? 0 : Math.min(response.headers.get("retry-after") * 1e3 || pause, 36e5);
      if (pause) kept.usher = Date.now() + pause;
    } catch {}
    isBusy = false;
    for (const key of batch) {
      flying.delete(key);
      if (isDone) delete kept[key];
    }
    sendIn(pause);
  };

  const keep = (type, fields) => {
    const created_ms = Date.now();
    const event_id = `${created_ms.toString(36)}-${tab}-${view}-${count++}`;
    const event = JSON.stringify({ event_id, ...fields, type, created_ms, page_view: view });
    if (event.length > 1e4) throw RangeError("usher: the event is too large");
    try {
      kept[KEY + event_id] = event;
    } catch {
      kept = { ...kept, [KEY + event_id]: event }; // the storage is full
    }
    for (const key of keys().slice(0, -100)) delete kept[key];
    Promise.resolve().then(send); // what is tracked in one go is sent in one batch
  };
  // A page that is rendered ahead of its time has not happened until it is shown.
  const ready = new Promise((resolve) => {
    if (document.prerendering) document.addEventListener("prerenderingchange", resolve);
    else resolve();
  });
  const add = (type, fields) => ready.then(() => keep(type, fields));

  const readCookie = (name) => document.cookie.match(`(?:^|; )${name}=([^;]+)`)?.[1];
  const writeCookie = (name, value, age_s) => {
    document.cookie = `${name}=${value}; path=/; max-age=${age_s}; samesite=lax; secure`;
  };

  // A page that the browser takes from its cache again is the same view, so its event has the same id.
  add("page_view", {
    event_id: "page_view-" + view,
    url: (location.pathname + location.search).slice(0, 2e3),
    referrer: document.referrer.slice(0, 2e3),
    category: document.querySelector('meta[name="usher:category"]')?.content,
    language: navigator.language,
    viewport_width: innerWidth,
    viewport_height: innerHeight,
  });

  let bottom = 0; // how far down has been seen, in pixels; 0 while nothing has
  let idle = 0;
  let seconds = 0;
  let told;
  const inView = new Map();
  const sections = new Set();

  // The visitor sees the page, and does something on it.
  const look = () => {
    if (document.hidden) return;
    if (fetched && !bottom) add("shown", { event_id: "shown-" + view });
    idle = 0;
    bottom = Math.max(bottom, scrollY + innerHeight);
  };
  const measure = () => Math.min(Math.round((bottom / document.documentElement.scrollHeight) * 100), 100);
  // What the edge folds with the next page that is asked for: the last three page views, the newest last. It lasts a
  // week, as long as Safari keeps what scripts write.
  const note = () => {
    if (!bottom) return;
    const left = (readCookie("usher-left") ?? "").split("~").filter((each) => each && !each.startsWith(view));
    writeCookie("usher-left", [...left, `${view}.${measure()}.${seconds}`].slice(-3).join("~"), 604800);
  };
  // Each engagement event tells all there is of its page view so far.
  const leave = () => {
    const engagement = { depth: measure(), engaged_ms: seconds * 1e3, sections: [...sections].slice(0, 20) };
    if (bottom && told != (told = JSON.stringify(engagement))) keep("engagement", engagement);
    note();
    send(true);
  };

  setInterval(() => {
    if (document.hidden) return;
    for (const [section, ticks] of inView) {
      if (ticks) sections.add(section.dataset.usherSection);
      inView.set(section, 1);
    }
    if (document.hasFocus() && idle++ < 30) seconds++;
  }, 1e3);
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, intersectionRatio, intersectionRect } of entries) {
        // A section too tall to be half visible counts where it fills half of the window.
        if (intersectionRatio < 0.5 && intersectionRect.height < innerHeight / 2) inView.delete(target);
        else if (!inView.has(target)) inView.set(target, 0);
      }
    },
    { threshold: [0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5] },
  );
  for (const section of document.querySelectorAll("[data-usher-section]")) observer.observe(section);

  for (const type of ["scroll", "pointermove", "pointerdown", "keydown"]) addEventListener(type, look, { passive: true });
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : look()));
  addEventListener("pagehide", leave);
  addEventListener("online", () => send());
  addEventListener(
    "click",
    ({ target }) => {
      note(); // where this leads to another page, it is asked for before this one is left
      const goal = target.closest?.("[data-usher-goal]");
      if (goal) add("goal", { name: goal.dataset.usherGoal, touchpoint: goal.closest("[data-usher]")?.dataset.usher });
    },
    true,
  );
  look();

  const STANDARD = ["search", "click", "add_to_cart", "purchase", "sign_up", "feature_used", "goal"];
  window.usher = {
    track: (name, properties) => (STANDARD.includes(name) ? add(name, properties) : add("custom", { name, properties })),
    identify: (user, signature) => add("identify", { user, signature }),
    prefer: (question, answer) => {
      const said = new Map(readCookie("usher-said")?.split(".").map((pair) => pair.split(":")));
      said.set(question, answer);
      writeCookie("usher-said", [...said].slice(-3).map((pair) => pair.join(":")).join("."), 34560000);
      add("preference", { question, answer });
    },
  };
})();
