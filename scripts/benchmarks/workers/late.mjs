// A KV that is late with profiles, in turn by so many milliseconds: some come in time, some after the deadline, and some
// are still awaited when the client has left.
const LATE_MS = [0, 5, 20, 40, 80];
const made = new WeakMap();
let reads = 0;

/** How many profiles were asked for. */
export function countReads() {
  return reads;
}

/** The environment, its SCORES late. */
export function withLateProfiles(env) {
  if (!made.has(env)) {
    const scores = {
      async get(key) {
        if (key.startsWith("profile:")) await scheduler.wait(LATE_MS[reads++ % LATE_MS.length]);
        return env.SCORES.get(key);
      },
    };
    made.set(env, Object.create(env, { SCORES: { value: scores } }));
  }
  return made.get(env);
}
