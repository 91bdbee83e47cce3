import { Agent, request } from 'node:http'
import { text } from 'node:stream/consumers'

/** One answered request, in milliseconds of performance.now(); the shop runs in this process, so the clock is one. */
export interface Answer {
  readonly sentAtMs: number
  /** When the handler had the session. */
  readonly loadedAtMs: number
  readonly answeredAtMs: number
  /** What the session held when the handler had changed it. */
  readonly session: readonly string[]
}

export class RefusedError extends Error {}

/** Keeps its cookie and its connections, and sends as many requests at once as it is asked to. */
export class Browser {
  private readonly agent = new Agent({ keepAlive: true })
  private cookie: string | undefined

  constructor(
    private readonly port: number,
    private readonly signal: AbortSignal,
  ) {}

  /** @throws RefusedError on any status but 200, with what the shop said. */
  async send(method: 'GET' | 'POST', path: string): Promise<Answer> {
    const sentAtMs = performance.now()
    const { status, body } = await this.exchange(method, path)
    const answeredAtMs = performance.now()
    if (status !== 200) throw new RefusedError(`${method} ${path} was answered ${String(status)}: ${body.slice(0, 300)}`)
    return { sentAtMs, answeredAtMs, ...contentOf(body) }
  }

  close(): void {
    this.agent.destroy()
  }

  private exchange(method: string, path: string): Promise<{ status: number | undefined; body: string }> {
    return new Promise((resolve, reject) => {
      const headers = this.cookie === undefined ? {} : { cookie: this.cookie }
      const { agent, port, signal } = this
      request({ agent, headers, host: '127.0.0.1', method, path, port, signal }, (response) => {
        const cookie = response.headers['set-cookie']?.[0]
        if (cookie !== undefined) this.cookie = cookie.replace(/;.*$/, '')
        text(response).then((body) => {
          resolve({ status: response.statusCode, body })
        }, reject)
      })
        .on('error', reject)
        .end()
    })
  }
}

function contentOf(body: string): Pick<Answer, 'loadedAtMs' | 'session'> {
  const answer: unknown = JSON.parse(body)
  if (typeof answer === 'object' && answer !== null && 'loadedAtMs' in answer && 'session' in answer) {
    const { loadedAtMs, session } = answer
    if (typeof loadedAtMs === 'number' && Array.isArray(session)) return { loadedAtMs, session: session.map(String) }
  }
  throw new Error(`The shop answered something else than was agreed: ${body}`)
}
