import type { ServerResponse } from 'node:http'
import type { SessionHttpError } from './http-error.js'

/** What the gate asks before the first byte of a response, and at its end. */
export interface GateKeeper {
  /**
   * The handler begins to stream: the session as it is now must be stored before the headers leave.
   * Undefined when there is nothing to store; else resolves with the failure, or undefined when it is stored.
   */
  beforeStream(eventStream: boolean): Promise<SessionHttpError | undefined> | undefined
  /** express-session's `res.end` is about to run: what it stores now is the last. */
  beforeEnd(): void
  /** It has run: resolves with the failure when the session was not stored, and holds no lock any more. */
  decided(): Promise<SessionHttpError | undefined> | undefined
  /** A response that had begun, or was given up, whose session was not stored. */
  onLateFailure(error: SessionHttpError): void
}

/**
 * - open: the handler runs, nothing was sent.
 * - holding: a save is under way; what is written waits for it.
 * - streaming: headers have left.
 * - refused: the save failed and nothing was sent: the application's error handler answers.
 * - over: answered.
 */
type State = 'open' | 'holding' | 'streaming' | 'refused' | 'over'

type Write = ServerResponse['write']
type End = ServerResponse['end']
type Operation = () => void

/** Headers that spoke of the response that was taken back. */
const WITHDRAWN = ['Content-Length', 'Content-Type', 'Content-Encoding', 'Content-Disposition', 'Transfer-Encoding'].concat(
  ['ETag', 'Last-Modified', 'Cache-Control', 'Expires', 'Location', 'Vary', 'Set-Cookie'],
)

/**
 * Holds a response back until its session is stored.
 *
 * express-session sends headers, and all of the body but its last byte, before the save is decided. The gate stands
 * behind it: it takes the place of the response's own methods, and express-session calls those.
 */
export class ResponseGate {
  private state: State = 'open'
  private readonly raw: { write: Write; end: End; writeHead: ServerResponse['writeHead']; flushHeaders: () => void }
  private readonly waiting: Operation[] = []
  private head: Parameters<ServerResponse['writeHead']> | undefined
  /** A call of ours to the real response is under way: what it calls in turn goes through. */
  private passing = false
  private ending = false
  private afterHolding: Operation | undefined

  constructor(
    private readonly res: ServerResponse,
    private readonly keeper: GateKeeper,
  ) {
    this.raw = { write: res.write, end: res.end, writeHead: res.writeHead, flushHeaders: res.flushHeaders }
    res.write = this.write as Write
    res.end = this.end as End
    res.writeHead = this.writeHead as ServerResponse['writeHead']
    res.flushHeaders = this.flushHeaders
  }

  get isOver(): boolean {
    return this.state === 'over'
  }

  /** Puts itself in front of express-session's `res.end`, to know when it begins. */
  watchEnd(): void {
    const { res } = this
    const sessionEnd = res.end
    const end = (...args: unknown[]): ServerResponse => {
      const callback = args.findLast((arg) => typeof arg === 'function')
      const [chunk, encoding] = args.filter((arg) => typeof arg !== 'function')
      if (this.state === 'over') return res
      if (this.state === 'refused') return this.answer(args)
      if (this.ending) return res
      if (typeof callback === 'function') res.once('finish', () => void Reflect.apply(callback, res, []))
      this.ending = true
      this.keeper.beforeEnd()
      const run = (): void => void Reflect.apply(sessionEnd, res, [chunk, encoding])
      // The headers' own save is under way: the end comes after it.
      if (this.state === 'holding') this.afterHolding = run
      else run()
      return res
    }
    res.end = end as End
  }

  private readonly write = (...args: unknown[]): boolean => {
    switch (this.state) {
      case 'over':
        return false
      case 'refused':
      case 'streaming':
        return this.pass(() => Reflect.apply(this.raw.write, this.res, args) as boolean)
      case 'holding':
        return this.hold(() => void Reflect.apply(this.raw.write, this.res, args))
      case 'open':
        if (this.ending) return this.hold(() => void Reflect.apply(this.raw.write, this.res, args))
        this.beginStream()
        return this.write(...args)
    }
  }

  private readonly flushHeaders = (): void => {
    if (this.state === 'open' && !this.ending) this.beginStream()
    const flush = (): void => {
      this.raw.flushHeaders.call(this.res)
    }
    if (this.state === 'streaming' || this.state === 'refused') this.pass(flush)
    else if (this.state === 'holding') this.hold(flush)
  }

  /** Only noted as long as the response can still be taken back; the first byte writes it. */
  private readonly writeHead = (...args: Parameters<ServerResponse['writeHead']>): ServerResponse => {
    if (!this.passing) {
      this.head = args
      this.res.statusCode = args[0]
      return this.res
    }
    if (this.state === 'refused') this.res.removeHeader('Set-Cookie')
    const head = this.head ?? args
    this.head = undefined
    return Reflect.apply(this.raw.writeHead, this.res, head) as ServerResponse
  }

  /** What express-session calls once the save is decided. */
  private readonly end = (...args: unknown[]): ServerResponse => {
    if (this.state === 'refused') return this.answer(args)
    if (this.state === 'over') return this.res
    const deciding = this.keeper.decided()
    if (deciding === undefined) this.conclude(undefined, args)
    else {
      const streaming = this.state === 'streaming'
      if (!streaming) this.state = 'holding'
      void deciding.then((failure) => {
        if (this.state === 'holding') this.state = 'open'
        this.conclude(failure, args)
      })
    }
    return this.res
  }

  private conclude(failure: SessionHttpError | undefined, args: readonly unknown[]): void {
    if (failure !== undefined && this.state === 'open') {
      this.refuse()
      return
    }
    if (failure !== undefined) this.keeper.onLateFailure(failure)
    this.letOut()
    this.state = 'over'
    this.pass(() => Reflect.apply(this.raw.end, this.res, args))
  }

  /** Takes the response back: what is answered now is the error's. */
  private refuse(): void {
    this.state = 'refused'
    this.waiting.length = 0
    this.head = undefined
    for (const name of WITHDRAWN) this.res.removeHeader(name)
    this.res.statusCode = 503
    this.res.statusMessage = ''
  }

  private answer(args: readonly unknown[]): ServerResponse {
    this.pass(() => Reflect.apply(this.raw.end, this.res, args))
    this.state = 'over'
    return this.res
  }

  private beginStream(): void {
    const type = this.contentType()
    const saving = this.keeper.beforeStream(type.startsWith('text/event-stream'))
    if (saving === undefined) {
      this.state = 'streaming'
      return
    }
    this.state = 'holding'
    void saving.then((failure) => {
      if (failure === undefined) {
        this.state = 'streaming'
        this.letOut()
      } else {
        // The handler goes on writing and cannot be told apart from an error handler: this answer is the gate's own.
        this.refuse()
        this.keeper.onLateFailure(failure)
        this.res.statusCode = failure.status
        for (const [name, value] of Object.entries(failure.headers)) this.res.setHeader(name, value)
        this.answer([failure.message])
      }
      const after = this.afterHolding
      this.afterHolding = undefined
      if (this.state !== 'over') after?.()
    })
  }

  /** Also one that was given to writeHead(). */
  private contentType(): string {
    const given: unknown = this.head?.at(-1)
    const inHead = typeof given === 'object' ? Object.entries(given ?? {}).find(([name]) => name.toLowerCase() === 'content-type') : undefined
    return String(inHead?.[1] ?? this.res.getHeader('Content-Type') ?? '').toLowerCase()
  }

  private hold(operation: Operation): true {
    this.waiting.push(operation)
    return true
  }

  private letOut(): void {
    for (const operation of this.waiting.splice(0)) this.pass(operation)
  }

  private pass<T>(work: () => T): T {
    const before = this.passing
    this.passing = true
    try {
      return work()
    } finally {
      this.passing = before
    }
  }
}
