import type { ServerResponse } from 'node:http'
import { SessionHttpError } from '../http/http-error.js'
import type { Next } from './options.js'

/**
 * socket.io's engine, which gives each of its HTTP requests to what was mounted by `io.engine.use()`. What it reads of
 * the query it keeps as `_query`: no request of Express has that, so no URL can pass for one of these.
 */
function queryOf(req: object): object | undefined {
  if (!('_query' in req) || typeof req._query !== 'object' || req._query === null) return undefined
  return 'transport' in req._query ? req._query : undefined
}

export const isEngineRequest = (req: object): boolean => queryOf(req) !== undefined

/**
 * Any request of the engine but the handshake, which alone has no `sid`. A poll stays open until there are events: if it
 * held the session for that long, all other requests of its visitor would wait.
 */
export function isEnginePoll(req: object): boolean {
  const query = queryOf(req)
  return query !== undefined && 'sid' in query && Boolean(query.sid)
}

/**
 * The engine heeds the first call of `next` only, and tells nobody its error: `onFailure` is told, and a later one, of a
 * session that was not stored, is answered here, or nobody would.
 */
export function nextOfEngine(next: Next, res: ServerResponse, onFailure: (error: unknown) => void): Next {
  let isCalled = false
  return (error) => {
    if (error !== undefined) onFailure(error)
    if (!isCalled) {
      isCalled = true
      next(error)
    } else if (error instanceof SessionHttpError && !res.headersSent) {
      res.statusCode = error.status
      res.end(error.message)
    }
  }
}
