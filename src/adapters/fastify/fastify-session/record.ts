import type { SessionManager } from '../../../session/session-manager.js'
import { hasCookie, type KeepingOptions, lacksCookie, SessionRecord, type TtlOf } from '../../http/session-record.js'
import type { Session } from './types.js'

/** Seconds, or a function that says them for a session. */
export type Ttl = TtlOf<Session>

/** What @fastify/session, and latchkey, put on every session. */
const OWN_NAMES: ReadonlySet<string> = new Set([
  ...['cookie', 'sessionId', 'encryptedSessionId', 'options', 'touch', 'regenerate', 'get', 'set', 'destroy', 'reload', 'save'],
  ...['isModified', 'isSaved', 'release', 'constructor'],
])

/** How @fastify/session's sessions become records. It takes a session without a cookie, and gives it one. */
export function fastifyRecordOf(manager: SessionManager, keeping: KeepingOptions<Session>): SessionRecord<Session> {
  const isSession = (data: object): data is Session => lacksCookie(data) || hasCookie(data)
  return new SessionRecord<Session>(manager, keeping, (data) => (isSession(data) ? data : undefined), (name) => OWN_NAMES.has(name))
}
