export interface Load {
  readonly sessions: number
  readonly requestsPerSession: number
}

/** What came back for one session. */
export interface SessionCounts {
  /** The process and the count of every answer. */
  readonly answers: readonly Answer[]
  /** The counter when everything had been answered. */
  readonly counted: number
}

interface Answer {
  readonly pid: number
  readonly count: number
}

export class RefusedError extends Error {}

/** Opens the sessions, then sends every request of all of them at once. */
export async function sendLoad(port: number, load: Load, signal: AbortSignal): Promise<SessionCounts[]> {
  const shop = `http://127.0.0.1:${String(port)}`
  const cookies = await Promise.all(Array.from({ length: load.sessions }, () => openSession(`${shop}/open`, signal)))
  return Promise.all(
    cookies.map(async (cookie) => {
      const count = (method: 'GET' | 'POST'): Promise<Answer> => send(method, `${shop}/count`, cookie, signal)
      const answers = await Promise.all(Array.from({ length: load.requestsPerSession }, () => count('POST')))
      return { answers, counted: (await count('GET')).count }
    }),
  )
}

async function openSession(url: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(url, { method: 'POST', signal })
  const body = await response.text()
  const cookie = response.headers.getSetCookie()[0]?.replace(/;.*$/, '')
  if (cookie === undefined) throw refused(response, body)
  return cookie
}

async function send(method: 'GET' | 'POST', url: string, cookie: string, signal: AbortSignal): Promise<Answer> {
  return answerOf(await fetch(url, { method, headers: { cookie }, signal }))
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text()
  if (response.status !== 200) throw refused(response, text)
  const answer: unknown = JSON.parse(text)
  if (typeof answer === 'object' && answer !== null && 'pid' in answer && 'count' in answer) {
    const { pid, count } = answer
    if (typeof pid === 'number' && typeof count === 'number') return { pid, count }
  }
  throw new Error(`A request was answered with something else than a count: ${text}`)
}

const refused = ({ status }: Response, body: string): RefusedError =>
  new RefusedError(`a request was answered ${String(status)}: ${body.slice(0, 300)}`)
