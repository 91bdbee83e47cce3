import { Agent, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'

/** What came back; status 0: nothing did. */
export interface Answer {
  readonly status: number
  /** The error's code; '' where there is none. */
  readonly code: string
  /** Seconds after which it may be tried again: nothing was stored. */
  readonly retryAfterSec: number | undefined
  /** Whether it found its session locked. */
  readonly hasWaited: boolean
  readonly cookie: string | undefined
  readonly tookMs: number
}

/** The address that all browsers know, by connections that are kept alive as a browser's are. */
export class Site {
  private readonly agent = new Agent({ keepAlive: true, maxFreeSockets: 256 })

  constructor(private readonly url: string) {}

  async post(path: string, cookie: string | undefined): Promise<Answer> {
    const sentMs = performance.now()
    const { response, body, error } = await this.send(path, cookie)
    const tookMs = performance.now() - sentMs
    if (response === undefined) return { status: 0, code: error, retryAfterSec: undefined, hasWaited: false, cookie: undefined, tookMs }
    const { headers, statusCode: status = 0 } = response
    const retryAfter = headers['retry-after']
    return {
      status,
      code: status === 200 ? '' : codeIn(body),
      retryAfterSec: retryAfter === undefined ? undefined : Number(retryAfter),
      hasWaited: headers['x-has-waited'] !== undefined,
      cookie: headers['set-cookie']?.[0]?.replace(/;.*$/, ''),
      tookMs,
    }
  }

  close(): void {
    this.agent.destroy()
  }

  /** Once more where a connection that had been idle was closed by nginx in the moment of its use, as every browser does. */
  private async send(path: string, cookie: string | undefined): Promise<Sent> {
    for (;;) {
      const sent = await this.sendOnce(path, cookie)
      if (!sent.isStale) return sent
    }
  }

  private sendOnce(path: string, cookie: string | undefined): Promise<Sent> {
    return new Promise((resolve) => {
      const headers = { 'content-length': 0, ...(cookie === undefined ? {} : { cookie }) }
      const asked = request(this.url + path, { method: 'POST', agent: this.agent, headers }, (response) => {
        text(response).then(
          (body) => resolve({ response, body, error: '', isStale: false }),
          () => resolve({ response: undefined, body: '', error: 'cut off', isStale: false }),
        )
      })
      asked.on('error', (error) => {
        const code = 'code' in error ? String(error.code) : error.message
        resolve({ response: undefined, body: '', error: code, isStale: asked.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE') })
      })
      asked.end()
    })
  }
}

interface Sent {
  readonly response: IncomingMessage | undefined
  readonly body: string
  readonly error: string
  readonly isStale: boolean
}

function codeIn(body: string): string {
  try {
    const { code }: { code?: unknown } = JSON.parse(body)
    return typeof code === 'string' ? code : ''
  } catch {
    // A page of nginx's.
    return 'nginx'
  }
}
