import type { ServerResponse } from 'node:http'
import { decoded, isChunk, lengthBytes } from './chunk.js'
import { HeldHead, type Refusal } from './held-head.js'
import { intercept, type Interceptor, type Method, type Raw } from './intercept.js'
import { onceClosed } from './once-closed.js'

/** What the gate asks before the first byte of a response, and at its end. `R`: why it does not leave. */
export interface GateKeeper<R extends Refusal> {
  /**
   * The handler begins to stream: what is to be done before the headers leave.
   * Undefined when there is nothing to do; else resolves with the refusal, or undefined when it is done.
   */
  beforeStream(eventStream: boolean): Promise<R | undefined> | undefined
  /** The `end` that stands in front (a session middleware's) is about to run. */
  beforeEnd(): void
  /** It has run: resolves with the refusal, or undefined when the response may leave. */
  decided(): Promise<R | undefined> | undefined
  /** Whether the application answers a refusal that it was told: the response leaves as it is, without cookies. */
  isGivenUp(): boolean
  /** What stands in front threw `thrown`: nothing is to be done any more. What to throw in its place, and to answer. */
  onBroken(thrown: unknown): { readonly error: unknown; readonly refusal: R }
  /** Nothing was sent: the application's error handler is to answer. */
  onRefused(refusal: R): void
  /** The same of a response that had begun, or that nobody waits for. */
  onLateFailure(refusal: R): void
}

/**
 * - open: the handler runs, nothing was sent.
 * - holding: what the keeper does is under way; what is written waits for it.
 * - streaming: headers have left.
 * - over: answered, or handed to the error handler. What still comes in is dropped.
 */
type State = 'open' | 'holding' | 'streaming' | 'over'

type Operation = () => void

/**
 * Holds a response back until its keeper has decided that it may leave.
 *
 * A session middleware (express-session) sends headers, and all of the body but its last byte, before its save is
 * decided. The gate stands behind it: it takes the place of the response's own methods, and the middleware calls those.
 * As far as the handler can tell, what is held back has been sent (HeldHead).
 */
export class ResponseGate<R extends Refusal> implements Interceptor {
  private state: State = 'open'
  private readonly head: HeldHead
  private readonly raw: Raw
  private readonly waiting: Operation[] = []
  private ending = false
  /** The real response has been ended, by its own methods or those that a middleware before this one put in their place. */
  private isLetOut = false
  /** What the handler gave to its `res.end()`. */
  private body: readonly unknown[] = []
  /** The end in front is on the stack: an error that is thrown now reaches whoever called it. */
  private inFrontEnd = false
  private afterHolding: Operation | undefined
  /** How much is held back. */
  private heldBytes = 0
  /** The client has gone: nobody reads what is written from now on. */
  private isClosed = false
  /** A write was told to wait for 'drain'. */
  private owesDrain = false

  constructor(
    private readonly res: ServerResponse,
    private readonly keeper: GateKeeper<R>,
  ) {
    this.raw = intercept(res, this)
    this.head = new HeldHead(res, this.raw)
    onceClosed(res, this.onClose)
  }

  call(name: Method, args: readonly unknown[]): unknown {
    if (this.isOwnDoing(name)) return this.raw.call(name, args)
    switch (name) {
      case 'write':
        return this.write(args)
      case 'end':
        return this.end(args)
      case 'flushHeaders':
        return this.flushHeaders()
      case 'writeHead':
        return this.head.writeHead(args)
      case '_implicitHeader':
        return this.head.writeImplicit()
      default:
        return this.head.change(name, args)
    }
  }

  /**
   * Whether the real response calls its own methods: a middleware before this one has an `end` that writes (a minifier),
   * at once or when its work is done. What it writes is the body, which would be lost here.
   */
  private isOwnDoing(name: Method): boolean {
    if (name !== 'write' && name !== 'end' && name !== 'flushHeaders') return false
    return this.raw.isCalling || (this.isLetOut && !this.res.writableEnded)
  }

  get headersSent(): boolean {
    return this.head.isSent
  }

  get isOver(): boolean {
    return this.state === 'over'
  }

  /** The handler has ended its response, whether or not it has left. */
  get isEnded(): boolean {
    return this.ending || this.isOver
  }

  private readonly onClose = (): void => {
    this.isClosed = true
  }

  /** HTTP/2's response does not say so. */
  private get isCut(): boolean {
    return this.isClosed || this.res.destroyed
  }

  /** No cookie of that name leaves with the response. */
  withholdCookie(name: string): void {
    this.head.withholdCookie(name)
  }

  /** Every cookie leaves with the response as `rewrite` makes it. */
  rewriteCookies(rewrite: (cookie: string) => string): void {
    this.head.rewriteCookies(rewrite)
  }

  /** Nothing of the response was called yet, and it is none of the gate's. */
  standAside(): void {
    this.state = 'over'
    this.raw.withdraw()
  }

  /** Puts itself in front of the `res.end` that the response has by now, to know when it begins. */
  watchEnd(): void {
    const { res } = this
    const frontEnd = res.end
    let isResumed = false
    const end = (...args: unknown[]): ServerResponse => {
      if (isResumed) isResumed = false
      else if (!this.hasBegunToEnd(args)) return res
      if (this.state === 'holding') {
        // The headers' own save is under way: the end comes after it.
        this.afterHolding = () => {
          isResumed = true
          end()
        }
        return res
      }
      this.inFrontEnd = true
      try {
        Reflect.apply(frontEnd, res, [])
      } catch (thrown) {
        this.breakOff(thrown)
      } finally {
        this.inFrontEnd = false
      }
      return res
    }
    Object.assign(res, { end })
  }

  /** Whether a call of `res.end` is the one that ends the response, and the end in front is to run. */
  private hasBegunToEnd(args: readonly unknown[]): boolean {
    const { res } = this
    const callback = args.find((arg) => typeof arg === 'function')
    const body = callback === undefined ? args : args.filter((arg) => arg !== callback)
    if (typeof callback === 'function') this.onFinish(() => void Reflect.apply(callback, res, []))
    if (this.state === 'over' || this.ending) return false
    // What Node would throw must be thrown now, while the error handler can still answer.
    if (!isChunk(body[0] ?? '')) this.raw.call('write', [body[0]])
    const bytes = decoded(body)
    this.head.check()
    if (this.keeper.isGivenUp()) {
      this.head.write()
      this.head.dropCookies()
      this.state = 'over'
      this.head.passing(() => this.raw.call('end', bytes))
      return false
    }
    this.ending = true
    this.keeper.beforeEnd()
    // Without the body: a session middleware would send all of it but a byte, which is held back here anyway.
    this.body = bytes
    return true
  }

  private write(args: readonly unknown[]): unknown {
    // Node's own complaint, at once.
    if (!isChunk(args[0])) return this.raw.call('write', args)
    const bytes = decoded(args)
    const write = (): unknown => this.raw.call('write', bytes)
    if (this.state === 'over' || this.ending) {
      const callback = args.at(-1)
      if (typeof callback === 'function') process.nextTick(callback, new Error('write after end'))
      return false
    }
    if (this.state === 'open') this.beginStream()
    if (this.state === 'streaming') return this.head.passing(write)
    this.waiting.push(() => void write())
    this.heldBytes += lengthBytes(bytes[0])
    // As Node: only what is full need be drained. A middleware before this one (compression) keeps who waits for 'drain'
    // to itself, and tells them only if it was full as well.
    this.owesDrain ||= this.heldBytes >= this.res.writableHighWaterMark
    return !this.owesDrain && !this.isCut
  }

  private flushHeaders(): void {
    if (this.state === 'over' || this.ending) return
    if (this.state === 'open') this.beginStream()
    const flush = (): unknown => this.raw.call('flushHeaders', [])
    if (this.state === 'streaming') this.head.passing(flush)
    else this.waiting.push(() => void flush())
  }

  /** What the end in front calls once it has decided; or whoever kept the function from before (`args`). */
  private end(args: readonly unknown[]): ServerResponse {
    if (this.state === 'over') return this.res
    if (!this.ending) this.body = args
    this.head.seal()
    this.ending = true
    const deciding = this.keeper.decided()
    if (deciding === undefined) {
      if (this.inFrontEnd) this.conclude(undefined)
      else this.concludeSafely(undefined)
      return this.res
    }
    const hasBegun = this.state === 'streaming'
    this.state = 'holding'
    void deciding.then((failure) => {
      this.state = hasBegun ? 'streaming' : 'open'
      this.concludeSafely(failure)
    })
    return this.res
  }

  private concludeSafely(failure: R | undefined): void {
    this.safely(() => {
      this.conclude(failure)
    })
  }

  private conclude(failure: R | undefined): void {
    if (failure !== undefined && this.state === 'open' && !this.isCut) {
      this.handBack(failure)
      this.keeper.onRefused(failure)
      return
    }
    if (failure !== undefined) this.keeper.onLateFailure(failure)
    this.letOut()
    this.state = 'over'
    this.isLetOut = true
    this.head.passing(() => this.raw.call('end', this.body))
  }

  /** The response as it was before any of this, for whoever answers now. Wrappers around the gate have had their turn. */
  private handBack(failure: R): void {
    this.state = 'over'
    this.waiting.length = 0
    this.afterHolding = undefined
    this.head.handBack(failure)
  }

  private beginStream(): void {
    try {
      this.head.write()
    } catch (thrown) {
      this.breakOff(thrown)
    }
    if (this.keeper.isGivenUp()) {
      this.head.dropCookies()
      this.state = 'streaming'
      return
    }
    const type = String(this.res.getHeader('Content-Type') ?? '').toLowerCase()
    const saving = this.keeper.beforeStream(type.startsWith('text/event-stream'))
    if (saving === undefined) {
      this.state = 'streaming'
      return
    }
    this.state = 'holding'
    void saving.then((failure) => {
      this.safely(() => {
        if (failure === undefined) this.goOn()
        else this.answerInPlace(failure)
      })
    })
  }

  private goOn(): void {
    this.state = 'streaming'
    this.letOut()
    const after = this.afterHolding
    this.afterHolding = undefined
    after?.()
    if (!this.owesDrain) return
    this.owesDrain = false
    // If the socket is full by now it tells so itself.
    if (!this.res.writableNeedDrain) this.res.emit('drain')
  }

  /** The handler goes on writing and cannot be told from an error handler: this answer is the gate's own. */
  private answerInPlace(failure: R): void {
    this.keeper.onLateFailure(failure)
    this.handBack(failure)
    this.res.setHeader('Content-Type', 'text/plain; charset=utf-8')
    this.raw.call('end', [failure.message])
    const drop = {
      write: (...args: unknown[]) => this.write(args),
      end: (...args: unknown[]) => this.end(args),
      flushHeaders: () => this.flushHeaders(),
    }
    Object.assign(this.res, drop)
  }

  /** What stands in front and throws (at a session that is circular, say) would ignore the error handler's `res.end()` after that. */
  private breakOff(thrown: unknown): never {
    const { error, refusal } = this.keeper.onBroken(thrown)
    if (this.state === 'open') this.handBack(refusal)
    throw error
  }

  private letOut(): void {
    this.heldBytes = 0
    for (const operation of this.waiting.splice(0)) this.head.passing(operation)
  }

  private onFinish(callback: Operation): void {
    if (this.res.writableFinished) process.nextTick(callback)
    else this.res.once('finish', callback)
  }

  /** For work that no handler has called: an error that it throws would end the process. */
  private safely(work: Operation): void {
    try {
      work()
    } catch (thrown) {
      this.state = 'over'
      this.keeper.onBroken(thrown)
      this.res.destroy(thrown instanceof Error ? thrown : undefined)
    }
  }
}
