/**
 * Where the primary is, as its Sentinels say. All of them are asked at once, and of those who answer the one counts who
 * has seen the latest failover: a Sentinel that was cut off from the others is not listened to, as long as others are.
 *
 * That a server is a primary by its own account is looked at when it is connected to (handshake.ts).
 */
import { systemRandom } from '../../../system/random.js'
import type { Clock } from '../../../system/clock.js'
import { placeName, type SocketAddress } from '../../socket/address.js'
import { ServerNode } from '../../socket/node.js'
import type { Whereabouts } from '../../socket/whereabouts.js'
import { RedisCodec } from '../redis-codec.js'
import { REDIS } from '../traits.js'
import type { WatchedRedis } from '../save-path.js'
import { sentinelHandshake } from './sentinel-handshake.js'
import { Subscription } from '../subscription.js'
import { type Word, wordOf } from './word.js'

export interface SentinelsOptions {
  readonly watched: WatchedRedis
  readonly clock: Clock
  /** The deadline of a flight; to ask takes at most half of it. */
  readonly flightMs: number
}

const LEAST_MS = 10
/** Told when a failover is over: `name old-host old-port new-host new-port`. */
const SWITCHED = '+switch-master'

export class Sentinels implements Whereabouts {
  readonly #watched: WatchedRedis
  readonly #clock: Clock
  readonly #nodes: readonly ServerNode[]
  #subscriptions: readonly Subscription[] = []
  #moved: (address: SocketAddress) => void = () => undefined
  #asking: Promise<SocketAddress> | undefined
  #questions = 0
  /** The question that was answered last, and the place that was the answer. */
  #latest = { question: 0, place: '', epoch: 0 }
  #isClosed = false

  constructor({ watched, clock, flightMs }: SentinelsOptions) {
    this.#watched = watched
    this.#clock = clock
    this.#nodes = watched.sentinels.map((address) => sentinelNode(address, clock, Math.max(LEAST_MS, Math.floor(flightMs / 2))))
  }

  locate(): Promise<SocketAddress> {
    this.#subscribe()
    return (this.#asking ??= this.#ask(Math.floor(this.#nodes.length / 2) + 1).finally(() => (this.#asking = undefined)))
  }

  hasLeft(address: SocketAddress): boolean {
    return placeName(address) !== this.#latest.place
  }

  follow(moved: (address: SocketAddress) => void): void {
    this.#moved = moved
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const subscription of this.#subscriptions) subscription.close()
    await Promise.all(this.#nodes.map((node) => node.close()))
  }

  /** To all of them: one may be cut off from the others, and would not hear of it. */
  #subscribe(): void {
    if (this.#subscriptions.length > 0 || this.#isClosed) return
    const began = (): void => this.#lookAgain()
    const heard = (_channel: string, message: string): void => {
      if (message.startsWith(`${this.#watched.service} `)) this.#lookAgain()
    }
    this.#subscriptions = this.#watched.sentinels.map((address) => new Subscription({ locate: () => address, clock: this.#clock, heard, began }))
    for (const subscription of this.#subscriptions) subscription.add(SWITCHED)
  }

  /** What a Sentinel has told is a hint: where the primary is now, all are asked. */
  #lookAgain(): void {
    if (this.#isClosed) return
    const before = this.#latest.place
    this.#ask(this.#nodes.length).then(
      (address) => {
        if (this.hasLeft(address) || placeName(address) === before || before === '') return
        this.#moved(address)
      },
      // None answers, so there is nothing to follow: each new connection asks again, and says why not.
      () => undefined,
    )
  }

  /** @param enough so many answers suffice, if they know of all failovers that we know of; else all that come in time. */
  async #ask(enough: number): Promise<SocketAddress> {
    const question = ++this.#questions
    const words = await this.#words(enough)
    const { host, port, epoch } = latestOf(words)
    const { tls, credentials } = this.#watched
    const address: SocketAddress = { endpoint: { kind: 'tcp', host, port }, tls, credentials }
    if (question > this.#latest.question) this.#latest = { question, place: placeName(address), epoch }
    return address
  }

  #words(enough: number): Promise<readonly [Word, ...Word[]]> {
    return new Promise((resolve, reject) => {
      const words: Word[] = []
      const failures: unknown[] = []
      const take = (): void => {
        const [first, ...more] = words
        const areAll = words.length + failures.length === this.#nodes.length
        const areEnough = words.length >= enough && words.some(({ epoch }) => epoch >= this.#latest.epoch)
        if (first !== undefined && (areAll || areEnough)) resolve([first, ...more])
        else if (areAll) reject(nobodyTells(failures))
      }
      for (const node of this.#nodes) {
        wordOf(node, this.#watched.service)
          .then((word) => words.push(word), (failure: unknown) => failures.push(failure))
          .finally(take)
      }
    })
  }
}

/** That of the greatest epoch; among several the one that most say. */
function latestOf(words: readonly [Word, ...Word[]]): Word {
  const votesFor = ({ host, port }: Word): number => words.filter((word) => word.host === host && word.port === port).length
  return words.reduce((best, word) => (word.epoch > best.epoch || (word.epoch === best.epoch && votesFor(word) > votesFor(best)) ? word : best))
}

function nobodyTells(failures: readonly unknown[]): Error {
  const reasons = failures.map((failure) => (failure instanceof Error ? failure.message.replace(/\.$/, '') : String(failure)))
  return new Error(`no Sentinel tells where the primary is: ${reasons.join('; ')}`, { cause: failures[0] })
}

/** One Sentinel, and how it is spoken to. */
export const sentinelNode = (address: SocketAddress, clock: Clock, flightMs: number): ServerNode =>
  new ServerNode({
    peer: {
      address,
      name: `the Sentinel at ${placeName(address)}`,
      system: REDIS.name,
      expected: 'a Sentinel of Redis or Valkey',
      mayWant: 'an address that is allowed (protected-mode, bind)',
    },
    trust: 'always',
    clock,
    makeCodec: (context) => new RedisCodec(context, { handshake: sentinelHandshake, random: systemRandom }),
    flightMs,
    connections: 1,
    warn: () => undefined,
  })
