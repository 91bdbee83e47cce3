import { STATUS_CODES, type ServerResponse, validateHeaderValue } from 'node:http'
import type { Raw } from './intercept.js'

type Changing = 'setHeader' | 'appendHeader' | 'removeHeader'

const VERBS: Readonly<Record<Changing, string>> = { setHeader: 'set', appendHeader: 'append', removeHeader: 'remove' }

/** Why a response does not leave, and what is answered in its place. */
export interface Refusal {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly message: string
}

/** Headers that speak of a response that is taken back, whatever its body is sent as. */
export const WITHDRAWN: readonly string[] = ['Content-Encoding', 'Content-Disposition', 'Content-Range', 'ETag'].concat(
  ['Last-Modified', 'Cache-Control', 'Expires', 'Location', 'Set-Cookie'],
)
/** How its body was to be sent. */
const FRAMING = ['Content-Length', 'Content-Type', 'Transfer-Encoding', 'Trailer']

/**
 * The head of a response that is held back. Written once, as Node's: from then on `headersSent` is true and a change
 * throws ERR_HTTP_HEADERS_SENT. A handler that changed the status after its `res.end()` would otherwise change what
 * is still to be sent.
 */
export class HeldHead {
  private written: readonly unknown[] | undefined
  private isSealed = false
  private statusCode: number | undefined
  /** A cookie that does not leave with this response. */
  private withheld: string | undefined
  /** What becomes of each Set-Cookie header. */
  private rewritten: ((cookie: string) => string) | undefined
  /** The real response has been called: what it calls in turn goes through, also in its own time (an end that waits). */
  private isLetOut = false

  constructor(
    private readonly res: ServerResponse,
    private readonly raw: Raw,
  ) {}

  /** A middleware before this one (compression) writes the head when it is passed the first byte. */
  get isSent(): boolean {
    return (this.isSealed && !this.isLetOut) || this.raw.headersSent
  }

  /** Throws what Node would if the head were written now. */
  check(): void {
    const { res } = this
    if (!this.isSealed) checkStatus([res.statusCode, this.isHttp2 ? undefined : res.statusMessage])
  }

  /** Written as it is now, if it was not before. */
  write(): void {
    if (!this.isSealed) this.res.writeHead(this.res.statusCode)
  }

  /** No changes any more; what listens for the head (a cookie's middleware) has its turn when it leaves. */
  seal(): void {
    if (this.isSealed) return
    this.isSealed = true
    this.statusCode = this.res.statusCode
  }

  /** A call to the real response. */
  passing<T>(work: () => T): T {
    this.isLetOut = true
    if (this.statusCode !== undefined) this.res.statusCode = this.statusCode
    return work()
  }

  /** No cookie leaves with the response. */
  dropCookies(): void {
    if (this.res.getHeader('Set-Cookie') !== undefined) this.raw.call('removeHeader', ['Set-Cookie'])
  }

  /** The cookie of that name stays behind, whoever sets it. */
  withholdCookie(name: string): void {
    this.withheld = `${name}=`
  }

  /** Every cookie leaves as `rewrite` makes it. */
  rewriteCookies(rewrite: (cookie: string) => string): void {
    this.rewritten = rewrite
  }

  /** The response is another's now, without what was said of the first one. */
  handBack(refusal: Refusal): void {
    const { res } = this
    this.isSealed = false
    this.raw.restore()
    for (const name of [...WITHDRAWN, ...FRAMING]) res.removeHeader(name)
    for (const [name, value] of Object.entries(refusal.headers)) res.setHeader(name, value)
    res.statusCode = refusal.status
    if (!this.isHttp2) res.statusMessage = STATUS_CODES[refusal.status] ?? ''
  }

  private settleCookies(): void {
    const { res, withheld, rewritten } = this
    if (withheld === undefined && rewritten === undefined) return
    const cookies = res.getHeader('Set-Cookie')
    if (cookies === undefined) return
    const rest = [cookies].flat().map(String).filter((cookie) => withheld === undefined || !cookie.startsWith(withheld))
    if (rest.length === 0) this.dropCookies()
    else this.raw.call('setHeader', ['Set-Cookie', rewritten === undefined ? rest : rest.map(rewritten)])
  }

  writeHead(args: readonly unknown[]): unknown {
    // Those that wait for the head (a cookie's middleware) have had their turn.
    this.settleCookies()
    if (this.isLetOut) return this.raw.call('writeHead', this.written ?? args)
    if (this.isSealed) throw this.headersSent('write')
    checkStatus(args)
    this.res.statusCode = Number(args[0]) | 0
    this.written = args
    this.seal()
    return this.res
  }

  /** In place of Node's, which knows only of a head that it has written itself. */
  writeImplicit(): void {
    // Bun's response does not show its head (`_header`): express-session asks for one at the end of every stream.
    if (this.raw.headersSent) return
    if (this.written !== undefined && this.isLetOut) this.raw.call('writeHead', this.written)
    else if (this.isLetOut || !this.isSealed) this.res.writeHead(this.res.statusCode)
  }

  change(name: Changing, args: readonly unknown[]): unknown {
    if (this.isSealed && !this.isLetOut) throw this.headersSent(VERBS[name])
    return this.raw.call(name, args)
  }

  /** It has no status message, and Node warns of whoever asks for one. */
  private get isHttp2(): boolean {
    return this.res.req.httpVersionMajor > 1
  }

  /** As Node's, of either kind of response. */
  private headersSent(verb: string): Error {
    const code = this.isHttp2 ? 'ERR_HTTP2_HEADERS_SENT' : 'ERR_HTTP_HEADERS_SENT'
    return Object.assign(new Error(`Cannot ${verb} headers after they are sent to the client`), { code })
  }
}

/** As Node checks it, with its errors. */
function checkStatus([status, message]: readonly unknown[]): void {
  const code = Number(status) | 0
  if (code < 100 || code > 999) {
    throw Object.assign(new RangeError(`Invalid status code: ${String(status)}`), { code: 'ERR_HTTP_INVALID_STATUS_CODE' })
  }
  if (typeof message === 'string') validateHeaderValue('statusMessage', message)
}
