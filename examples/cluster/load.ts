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

/** Opens the sessions, then sends every request of all of them at once. */
export async function sendLoad(port: number, load: Load, signal: AbortSignal): Promise<SessionCounts[]> {
  const url = `http://127.0.0.1:${String(port)}/count`
  const sessions = Array.from({ length: load.sessions }, () => openSession(url, signal))
  return Promise.all(
    (await Promise.all(sessions)).map(async ({ cookie, first }) => {
      // The one that opened the session has counted already.
      const requests = Array.from({ length: load.requestsPerSession - 1 }, () => send('POST', url, cookie, signal))
      const answers = [first, ...(await Promise.all(requests))]
      const { count } = await send('GET', url, cookie, signal)
      return { answers, counted: count }
    }),
  )
}

async function openSession(url: string, signal: AbortSignal): Promise<{ cookie: string; first: Answer }> {
  const response = await fetch(url, { method: 'POST', signal })
  const cookie = response.headers.getSetCookie()[0]?.replace(/;.*$/, '')
  if (cookie === undefined) throw new Error(`No session was opened: ${String(response.status)} ${await response.text()}`)
  return { cookie, first: await answerOf(response) }
}

async function send(method: 'GET' | 'POST', url: string, cookie: string, signal: AbortSignal): Promise<Answer> {
  return answerOf(await fetch(url, { method, headers: { cookie }, signal }))
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text()
  if (response.status !== 200) throw new Error(`A request was answered ${String(response.status)}: ${text}`)
  const answer: unknown = JSON.parse(text)
  if (typeof answer === 'object' && answer !== null && 'pid' in answer && 'count' in answer) {
    const { pid, count } = answer
    if (typeof pid === 'number' && typeof count === 'number') return { pid, count }
  }
  throw new Error(`A request was answered with something else than a count: ${text}`)
}
