/** Listens to what a Redis tells on channels, over a connection of its own, which is opened again when it ends. */
import { isAscii } from 'node:buffer'
import type { Socket } from 'node:net'
import type { Clock, Timer } from '../../system/clock.js'
import type { SocketAddress } from '../socket/address.js'
import { dial, readPemFiles } from '../socket/dial.js'
import { Inbox } from '../socket/inbox.js'
import { helloOf } from './handshake.js'
import { commandOf, isError, isList, RespReader, type RespReply } from './resp.js'

export interface SubscriptionOptions {
  /** Where to listen; asked for each connection. */
  readonly locate: () => SocketAddress | Promise<SocketAddress>
  readonly clock: Clock
  readonly heard: (channel: string, message: string) => void
  /** Called whenever it begins to listen to a channel: something may have been missed. */
  readonly began?: () => void
}

/** What is told in the meantime is missed, and nobody waits for it. */
const AGAIN_MS = 1000
/** After the server has refused: its operator would have to allow it first. */
const AFTER_REFUSAL_MS = 60_000
/** Between two questions whether the server is still there: one that has gone without a word is noticed at the second. */
const PING_MS = 5000

export class Subscription {
  readonly #options: SubscriptionOptions
  readonly #channels = new Set<string>()
  #socket: Socket | undefined
  /** Whether the socket takes commands. */
  #isReady = false
  /** Whether something has come since the last question. */
  #isAlive = false
  #isRefused = false
  #timer: Timer | undefined

  constructor(options: SubscriptionOptions) {
    this.#options = options
  }

  /** Listens to one more channel; the first one opens the connection. */
  add(channel: string): void {
    this.#channels.add(channel)
    if (this.#channels.size === 1) this.#open()
    else if (this.#isReady) this.#socket?.write(commandOf('SUBSCRIBE', channel), 'latin1')
  }

  /** The last channel closes the connection. What still comes for this one is to be ignored. */
  remove(channel: string): void {
    this.#channels.delete(channel)
    if (this.#channels.size === 0) this.close()
  }

  close(): void {
    this.#channels.clear()
    this.#timer?.cancel()
    this.#socket?.destroy()
    this.#socket = undefined
  }

  #open(): void {
    this.#timer = undefined
    // What cannot be found or read now may be there at the next attempt.
    void this.#connect().catch(() => this.#later())
  }

  #later(): void {
    this.#isReady = false
    this.#timer?.cancel()
    if (this.#channels.size === 0) return
    const delayMs = this.#isRefused ? AFTER_REFUSAL_MS : AGAIN_MS
    this.#timer = this.#options.clock.setTimer(() => this.#open(), delayMs, { background: true })
  }

  async #connect(): Promise<void> {
    const address = await this.#options.locate()
    const pem = await readPemFiles(address.tls)
    if (this.#channels.size === 0 || this.#socket?.destroyed === false) return
    const { socket, readyEvent } = dial(address, pem)
    this.#socket = socket
    this.#isRefused = false
    // It keeps no process alive: nobody waits for it.
    socket.unref()
    socket.once(readyEvent, () => {
      this.#isReady = true
      socket.write(helloOf(address.credentials) + commandOf('SUBSCRIBE', ...this.#channels), 'latin1')
    })
    const inbox = new Inbox()
    socket.on('data', (chunk) => {
      this.#isAlive = true
      try {
        this.#take(inbox, chunk)
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)))
      }
    })
    // 'close' comes behind it.
    socket.on('error', () => undefined)
    socket.once('close', () => {
      if (this.#socket === socket) this.#later()
    })
    this.#isAlive = false
    this.#watch(socket)
  }

  /** The first answer, and each later one, comes before the next look. */
  #watch(socket: Socket): void {
    const look = (): void => {
      if (!this.#isAlive) {
        socket.destroy()
        return
      }
      this.#isAlive = false
      socket.write(commandOf('PING'), 'latin1')
      this.#watch(socket)
    }
    this.#timer?.cancel()
    this.#timer = this.#options.clock.setTimer(look, PING_MS, { background: true })
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

  /** The answers to HELLO and PING are lists as well, and say nothing here. */
  #hear(reply: RespReply): void {
    if (isError(reply)) {
      this.#isRefused = reply.error.startsWith('NOPERM')
      this.#socket?.destroy()
      return
    }
    const [kind, channel = '', message = ''] = isList(reply) ? reply.map(String) : []
    if (!this.#channels.has(channel)) return
    if (kind === 'message') this.#options.heard(channel, message)
    if (kind === 'subscribe') this.#options.began?.()
  }
}
