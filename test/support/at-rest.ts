import type { SessionManager } from 'latchkey'

/** Far less than the default grace of a handler whose client has left: what is held for longer has leaked. */
const FLIGHT_MS = 500

/**
 * What a manager holds when the answers are there. A lock that was taken of a session that is gone is let go by a flight
 * of its own, which the answer does not wait for.
 */
export async function atRest(manager: SessionManager): Promise<{ held: number; waiting: number }> {
  const endMs = performance.now() + FLIGHT_MS
  for (;;) {
    const { held, waiting } = manager.stats()
    if (held + waiting === 0 || performance.now() > endMs) return { held, waiting }
    await new Promise((resolve) => setImmediate(resolve))
  }
}
