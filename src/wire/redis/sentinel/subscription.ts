/** Listens to what a Redis tells on a channel, over a connection of its own, which is opened again when it ends. */
import { isAscii } from 'node:buffer'
import type { Socket } from 'node:net'
import type { Clock, Timer } from '../../../system/clock.js'
import type { SocketAddress } from '../../socket/address.js'
import { ProtocolError } from '../../socket/codec.js'
import { dial, type PemFiles, readPemFiles } from '../../socket/dial.js'
import { Inbox } from '../../socket/inbox.js'
import { helloOf } from '../handshake.js'
import { commandOf, isError, isList, RespReader, type RespReply } from '../resp.js'

export interface SubscriptionOptions {
  readonly address: SocketAddress
  readonly channel: string
  readonly clock: Clock
  /** Called with each message, and with undefined where some may have been missed: whenever it begins to listen. */
  readonly told: (message: string | undefined) => void
}

/** What is told in the meantime is missed, and nobody waits for it. */
const AGAIN_MS = 1000
/** To connect and to be told that the channel is listened to. */
const OPEN_MS = 5000

export class Subscription {
  readonly #options: SubscriptionOptions
  #socket: Socket | undefined
  #timer: Timer | undefined
  #isClosed = false

  constructor(options: SubscriptionOptions) {
    this.#options = options
    this.#open()
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#socket?.destroy()
  }

  #open(): void {
    const { tls } = this.#options.address
    // What cannot be read now may be there at the next attempt.
    void (tls === undefined ? Promise.resolve({}) : readPemFiles(tls)).then((pem) => this.#connect(pem), () => this.#later())
  }

  #later(): void {
    if (this.#isClosed) return
    this.#timer?.cancel()
    this.#timer = this.#options.clock.setTimer(() => this.#open(), AGAIN_MS, { background: true })
  }

  #connect(pem: PemFiles): void {
    if (this.#isClosed) return
    const { address, channel, clock } = this.#options
    const { socket, readyEvent } = dial(address, pem)
    this.#socket = socket
    // It keeps no process alive: nobody waits for it.
    socket.unref()
    socket.once(readyEvent, () => socket.write(helloOf(address.credentials) + commandOf('SUBSCRIBE', channel), 'latin1'))
    const inbox = new Inbox()
    socket.on('data', (chunk) => {
      try {
        this.#take(inbox, chunk)
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)))
      }
    })
    // 'close' comes behind it.
    socket.on('error', () => undefined)
    socket.once('close', () => this.#later())
    this.#timer = clock.setTimer(() => socket.destroy(), OPEN_MS, { background: true })
  }

  #take(inbox: Inbox, chunk: Buffer): void {
    const bytes = inbox.take(chunk)
    if (bytes === undefined) return
    const reader = new RespReader({ bytes, text: bytes.toString('latin1'), isAscii: isAscii(bytes) })
    while (reader.at < bytes.length) {
      const start = reader.at
      const reply = reader.next()
      if (reply === undefined) {
        inbox.keep(bytes.subarray(start), reader.wantedEnd - start)
        return
      }
      this.#hear(reply)
    }
  }

  /** The answer to HELLO is a list as well, and says nothing here. */
  #hear(reply: RespReply): void {
    if (isError(reply)) throw new ProtocolError(reply.error)
    const [kind, channel, message] = isList(reply) ? reply.map(String) : []
    if (channel !== this.#options.channel) return
    if (kind === 'message') this.#options.told(message)
    if (kind !== 'subscribe') return
    this.#timer?.cancel()
    this.#options.told(undefined)
  }
}
