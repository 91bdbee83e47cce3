/**
 * Asks until the answer is no 503: a new visitor stands for a site that works, and on a busy machine the first request of a
 * test with a short deadline is refused now and then. What the test is about comes after it.
 */
export async function admit(ask: () => Promise<{ readonly status: number }>): Promise<void> {
  for (let tries = 0; tries < 10; tries++) if ((await ask()).status !== 503) return
}
