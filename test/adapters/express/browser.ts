import { Agent, request, type IncomingHttpHeaders, type RequestOptions } from 'node:http'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly setCookies: readonly string[]
  readonly body: string
  /** The connection ended before the response did. */
  readonly isCut: boolean
}

export interface AskOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** A browser: keeps its connections open, and its cookie. Follows no redirect by itself. */
export class Browser {
  /** The Cookie header, when there is one. */
  cookie: string | undefined
  private readonly agent: Agent

  constructor(
    readonly port: number,
    options: { readonly maxSockets?: number } = {},
  ) {
    this.agent = new Agent({ keepAlive: true, ...options })
  }

  /** The id in the cookie. */
  get sid(): string {
    const value = decodeURIComponent(/=([^;]*)/.exec(this.cookie ?? '')?.[1] ?? '')
    return value.slice(2, value.lastIndexOf('.'))
  }

  get(path: string, options: AskOptions = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = request({ ...this.optionsFor(path, options) }, (response) => {
        const setCookies = response.headers['set-cookie'] ?? []
        const session = setCookies.find((cookie) => cookie.startsWith('connect.sid='))
        if (session !== undefined) this.cookie = session.replace(/;.*$/, '')
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (text: string) => (body += text))
        response.on('error', () => undefined)
        response.on('close', () => {
          const { statusCode: status = 0, headers } = response
          resolve({ status, headers, setCookies, body, isCut: !response.complete })
        })
      })
      outgoing.on('error', reject)
      outgoing.end()
    })
  }

  /** Another browser of the same person: the same cookie, connections of its own. */
  twin(): Browser {
    const twin = new Browser(this.port)
    twin.cookie = this.cookie
    return twin
  }

  /** Without a session from now on. */
  forget(): void {
    this.cookie = undefined
  }

  close(): void {
    this.agent.destroy()
  }

  private optionsFor(path: string, { method = 'GET', headers = {}, signal }: AskOptions): RequestOptions {
    const cookie = this.cookie === undefined ? {} : { cookie: this.cookie }
    return {
      host: '127.0.0.1',
      port: this.port,
      path,
      method,
      agent: this.agent,
      headers: { ...cookie, ...headers },
      ...(signal === undefined ? {} : { signal }),
    }
  }
}
