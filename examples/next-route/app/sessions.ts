/** app/sessions.ts of a Next.js application: its one SessionManager. */
import { SessionManager } from 'latchkey'

const { MEMCACHE_SERVERS: servers } = process.env
const savePath = servers === undefined ? 'memory:' : servers.split(',').map((server) => `tcp://${server}`).join(',')

/**
 * Kept on `globalThis`: the development server runs this file anew after each change, and a build may put it into several
 * bundles. Each would have connections and wait queues of its own, and with `memory:` sessions of its own.
 */
const shared: typeof globalThis & { sessionManager?: SessionManager } = globalThis

export const manager = (shared.sessionManager ??= new SessionManager({ savePath }))
