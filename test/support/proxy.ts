/** A TCP proxy between a wire and a real server. It breaks exchanges as a test tells it to. */
import { setMaxListeners } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { type OwnPort, ownPort } from '../../examples/deployment/ports.js'
import { Link } from './proxy-link.js'

/**
 * What happens to one exchange. An exchange is a request (what the wire writes at once) and its reply.
 *
 * - `finBefore`, `rstBefore`: the request is not passed on; the wire's connection is closed, or reset.
 * - `fin`, `rst`: the server has carried the request out; its reply is dropped and the connection closed, or reset.
 * - `halfReply`: like `fin`, but the first half of the reply's first segment arrives.
 * - `dropReply`: the request passes, its reply does not; the connection stays open.
 * - `blackHole`: nothing passes on this connection from now on, in either direction, until `clear()`.
 * - `garbage`: bytes that belong to no protocol take the place of the reply.
 * - `foreignReply`: the last reply that passed before, on any connection, takes the place of the reply.
 * - `replyTwice`: the reply comes twice.
 * - `trickle`: the reply comes byte by byte (after a segment's first 256 bytes 61 at a time), each piece in a turn of
 *   the event loop of its own.
 * - `delayRequestMs`, `delayReplyMs`: the request or the reply passes late; a request even if the wire has closed its
 *   connection since.
 */
export type Fault =
  | 'finBefore'
  | 'rstBefore'
  | 'fin'
  | 'rst'
  | 'halfReply'
  | 'dropReply'
  | 'blackHole'
  | 'garbage'
  | 'foreignReply'
  | 'replyTwice'
  | 'trickle'
  | { readonly delayRequestMs: number }
  | { readonly delayReplyMs: number }

export interface FaultOptions {
  /**
   * Says from a request's first segment whether the fault may strike it. Default: any request, even a wire's handshake.
   */
  readonly when?: (request: Buffer) => boolean
}

/** Is shown each segment before it goes on, and may change it; undefined drops it. `connection` counts from 1. */
export type Hook = (segment: Buffer, connection: number) => Buffer | undefined

interface Plan {
  readonly fault: Fault
  readonly when: (request: Buffer) => boolean
  readonly once: boolean
  readonly struck: () => void
}

export class FaultProxy implements AsyncDisposable {
  readonly host = '127.0.0.1'
  /** Counts what has arrived here, even what was not passed on. A segment is what arrived at once. */
  readonly counts = { connections: 0, requestSegments: 0, requestBytes: 0, replySegments: 0, replyBytes: 0, faults: 0 }
  onRequest: Hook | undefined
  onReply: Hook | undefined
  readonly stopped = new AbortController()
  private readonly links = new Set<Link>()
  private plans: Plan[] = []
  private lastReply: Buffer | undefined

  private constructor(
    private readonly target: { connect(): Socket },
    private readonly server: Server,
    private readonly own: OwnPort,
  ) {
    // Each segment that waits listens.
    setMaxListeners(0, this.stopped.signal)
    server.on('connection', (client) => this.accept(client))
  }

  /** @param target connects to the server for each connection that comes in; for example a `MemcachedServer`. */
  static async start(target: { connect(): Socket }): Promise<FaultProxy> {
    const server = createServer()
    // Its own also while it refuses connections: another test would be given the port of a server that does not listen.
    const own = await ownPort()
    await listen(server, own.port)
    return new FaultProxy(target, server, own)
  }

  get port(): number {
    return this.own.port
  }

  get address(): string {
    return `${this.host}:${this.port}`
  }

  get openConnections(): number {
    return [...this.links].filter((link) => link.isOpen).length
  }

  /**
   * Breaks the next exchange, on any connection. Several faults strike one
   * after the other. Resolves when it has struck.
   */
  next(fault: Fault, options: FaultOptions = {}): Promise<void> {
    return new Promise((struck) => {
      this.plans.push({ fault, when: options.when ?? (() => true), once: true, struck })
    })
  }

  /** Breaks every exchange that no `next` breaks. */
  always(fault: Fault, options: FaultOptions = {}): void {
    this.plans.push({ fault, when: options.when ?? (() => true), once: false, struck: () => undefined })
  }

  /** Forgets all faults to come. Connections in a black hole pass on again what arrives from now on. */
  clear(): void {
    this.plans = []
    for (const link of this.links) link.heal()
  }

  /** Ends every open connection. */
  cutAll(how: 'fin' | 'rst'): void {
    for (const link of this.links) link.cut(how)
  }

  /** Stops listening: new connections are refused from now on. Open connections stay. */
  async refuse(): Promise<void> {
    if (!this.server.listening) return
    // The port is released at once; only the callback of close() would wait for the open connections.
    this.server.close()
    await new Promise((resolve) => setImmediate(resolve))
  }

  /** Listens on the same port again. */
  async acceptAgain(): Promise<void> {
    if (!this.server.listening) await listen(this.server, this.port)
  }

  /** Destroys everything. May be called again. */
  async stop(): Promise<void> {
    this.stopped.abort()
    this.plans = []
    await this.refuse()
    for (const link of this.links) link.cut('rst')
    this.own.release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /** The fault that strikes the exchange that starts with `request`; undefined for none. */
  faultFor(request: Buffer): Fault | undefined {
    const matching = this.plans.filter((plan) => plan.when(request))
    const plan = matching.find(({ once }) => once) ?? matching.at(-1)
    if (plan === undefined) return undefined
    if (plan.once) this.plans.splice(this.plans.indexOf(plan), 1)
    this.counts.faults++
    plan.struck()
    return plan.fault
  }

  /** The reply that the fault `foreignReply` sends. */
  foreignReply(): Buffer {
    if (this.lastReply === undefined) throw new Error('foreignReply needs a reply that passed before')
    return this.lastReply
  }

  passed(reply: Buffer): void {
    this.lastReply = Buffer.from(reply)
  }

  private accept(client: Socket): void {
    const number = ++this.counts.connections
    const upstream = this.target.connect()
    const link = new Link(this, client, upstream, number)
    this.links.add(link)
    upstream.once('close', () => this.links.delete(link))
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
}
