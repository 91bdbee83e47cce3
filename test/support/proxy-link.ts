import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Fault, FaultProxy } from './proxy.js'

/** Bytes that begin neither a packet of memcached's binary protocol nor a word of the text protocol, and end a line. */
const GARBAGE = Buffer.concat([Buffer.from('\x01\x02garbage '), Buffer.alloc(40, 0xa5), Buffer.from('\r\n')])

/** One connection from the wire, and the connection behind it to the server. The faults of `FaultProxy` happen here. */
export class Link {
  private fault: Fault | undefined
  private replySeen = false
  private requests: Promise<void> = Promise.resolve()
  private replies: Promise<void> = Promise.resolve()

  constructor(
    private readonly proxy: FaultProxy,
    private readonly client: Socket,
    private readonly upstream: Socket,
    private readonly number: number,
  ) {
    client.setNoDelay(true)
    upstream.setNoDelay(true)
    client.on('data', (segment: Buffer) => this.request(segment))
    upstream.on('data', (segment: Buffer) => this.reply(segment))
    // A server that has gone looks to the wire as it would without the proxy, except that the connect succeeds.
    upstream.on('error', () => this.cut('rst'))
    upstream.on('end', () => this.cut('fin'))
    client.on('error', () => undefined)
    // As without a proxy, what was sent is carried out, even if that is late and nobody waits for it any more.
    client.on('close', () => void this.requests.then(() => upstream.end()))
  }

  /** Whether the connection from the wire is open. */
  get isOpen(): boolean {
    return !this.client.destroyed
  }

  heal(): void {
    this.fault = undefined
  }

  cut(how: 'fin' | 'rst'): void {
    this.upstream.destroy()
    if (how === 'rst') this.client.resetAndDestroy()
    else this.client.end()
  }

  private request(segment: Buffer): void {
    this.proxy.counts.requestSegments++
    this.proxy.counts.requestBytes += segment.length
    if (this.fault === 'blackHole') return
    // As long as nothing has come back, further segments belong to the same request.
    if (this.fault === undefined || this.replySeen) {
      this.fault = this.proxy.faultFor(segment)
      this.replySeen = false
    }
    const { fault } = this
    if (fault === 'blackHole') return
    if (fault === 'finBefore' || fault === 'rstBefore') {
      this.cut(fault === 'finBefore' ? 'fin' : 'rst')
      return
    }
    const changed = this.proxy.onRequest === undefined ? segment : this.proxy.onRequest(segment, this.number)
    if (changed === undefined) return
    const late = typeof fault === 'object' && 'delayRequestMs' in fault ? fault.delayRequestMs : 0
    this.requests = this.inTurn(this.requests, late, () => void write(this.upstream, changed))
  }

  private reply(segment: Buffer): void {
    this.proxy.counts.replySegments++
    this.proxy.counts.replyBytes += segment.length
    const { fault } = this
    const first = !this.replySeen
    this.replySeen = true
    if (fault === 'blackHole' || fault === 'dropReply') return
    const changed = this.proxy.onReply === undefined ? segment : this.proxy.onReply(segment, this.number)
    if (changed === undefined) return
    const late = typeof fault === 'object' && 'delayReplyMs' in fault ? fault.delayReplyMs : 0
    this.replies = this.inTurn(this.replies, late, () => this.answer(changed, fault, first))
  }

  private async answer(segment: Buffer, fault: Fault | undefined, first: boolean): Promise<void> {
    switch (fault) {
      case 'fin':
      case 'rst':
        this.cut(fault)
        return
      case 'halfReply':
        write(this.client, segment.subarray(0, Math.ceil(segment.length / 2)))
        this.cut('fin')
        return
      case 'garbage':
        if (first) write(this.client, GARBAGE)
        return
      case 'foreignReply':
        if (first) write(this.client, this.proxy.foreignReply())
        return
      case 'trickle':
        for (let at = 0, size = 1; at < segment.length; at += size) {
          size = at < 256 ? 1 : 61
          write(this.client, segment.subarray(at, at + size))
          await new Promise((resolve) => setImmediate(resolve))
        }
        return
      case 'replyTwice':
        write(this.client, Buffer.concat([segment, segment]))
        return
      default:
        // A reply for a wire that has gone reaches nobody, so `foreignReply` must not use it.
        if (write(this.client, segment)) this.proxy.passed(segment)
    }
  }

  /** Passes something on after everything that came before it, and `lateMs` after it came. */
  private async inTurn(before: Promise<void>, lateMs: number, pass: () => void | Promise<void>): Promise<void> {
    const { signal } = this.proxy.stopped
    const late = lateMs > 0 ? delay(lateMs, undefined, { signal }).catch(() => undefined) : undefined
    await before
    await late
    if (!signal.aborted) await pass()
  }
}

/** Writes to a socket; returns whether it was open. */
function write(socket: Socket, bytes: Buffer): boolean {
  const { writable } = socket
  if (writable) socket.write(bytes)
  return writable
}
