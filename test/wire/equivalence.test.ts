import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { VirtualClock } from '../../src/testing/virtual-clock.js'
import { run, text, type WireSubject } from '../../src/testing/wire-conformance/subject.js'
import { createMemoryWire } from '../../src/wire/memory/memory-wire.js'
import type { Cas, Command, Reply, Wire } from '../../src/wire/wire.js'
import { runsOf } from '../support/matrix.js'
import { memcachedSubject, PROTOCOLS } from '../support/memcached-subject.js'
import { hasRedis } from '../support/redis-server.js'
import { redisSubject } from '../support/redis-subject.js'

/**
 * One step of a sequence: `key` is one of three, `version` chooses among the versions that the key had so far (0: the
 * newest; an older one is stale), `other` takes another key's.
 */
interface Step {
  readonly op: Command['op']
  readonly key: number
  readonly value: string | 'too large'
  readonly flags: number
  readonly version: number
  readonly other: boolean
  readonly wantCas: boolean
}

const KEYS = 3
const TTL_SEC = 1000
const TOO_LARGE = Buffer.alloc(1024 * 1024, 'x')

const step: fc.Arbitrary<Step> = fc.record({
  op: fc.constantFrom('get', 'add', 'set', 'cas', 'cas', 'touch', 'delete', 'cad'),
  key: fc.nat(KEYS - 1),
  value: fc.oneof(
    { weight: 12, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 12 }) },
    { weight: 1, arbitrary: fc.constant('too large') },
  ),
  flags: fc.constantFrom(0, 0, 1, 0xffffffff),
  version: fc.constantFrom(0, 0, 0, 1, 2),
  other: fc.integer({ min: 0, max: 9 }).map((roll) => roll === 0),
  wantCas: fc.boolean(),
})
/** Flights of some steps each. */
const sequence = fc.array(fc.array(step, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 8 })

/** A wire, and the versions it gave out, by key: the same moment has the same place on every wire. */
class Player {
  private readonly versions = new Map<string, Cas[]>()
  private spare: Cas | undefined
  constructor(
    private readonly wire: Wire,
    private readonly prefix: string,
  ) {}

  /** A version to put into commands for keys that have none yet. */
  async begin(): Promise<void> {
    this.spare = (await run(this.wire, { op: 'add', key: `${this.prefix}spare`, value: text('x'), ttlSec: 100 })).cas
  }

  /** Plays the flights and says what can be compared: everything but the versions' names. */
  async play(flights: readonly (readonly Step[])[]): Promise<unknown[]> {
    const seen: unknown[] = []
    for (const steps of flights) {
      const commands = steps.map((each) => this.command(each))
      const replies = await this.wire.flight(this.prefix, commands)
      replies.forEach((reply, index) => seen.push(this.observe(commands[index], reply)))
      await this.readAll(seen)
    }
    return seen
  }

  private async readAll(seen: unknown[]): Promise<void> {
    const reads = Array.from({ length: KEYS }, (_, key): Command => ({ op: 'get', key: this.name(key) }))
    const replies = await this.wire.flight(this.prefix, reads)
    replies.forEach((reply, index) => seen.push(this.observe(reads[index], reply)))
  }

  private observe(command: Command | undefined, reply: Reply): unknown {
    if (command === undefined) throw new Error('more replies than commands')
    const { status, flags } = reply
    if (reply.cas !== undefined && promisesVersion(command)) this.remember(command.key, reply.cas)
    // Only `get` must tell the value; what else comes for free differs from wire to wire.
    return command.op === 'get' ? { status, flags, value: reply.value?.toString('latin1') } : { op: command.op, status }
  }

  private remember(key: string, cas: Cas): void {
    const known = this.versions.get(key) ?? []
    const last = known.at(-1)
    if (last?.version !== cas.version) known.push(cas)
    this.versions.set(key, known)
  }

  private command({ op, key: index, value, flags, version, other, wantCas }: Step): Command {
    const key = this.name(index)
    const cas = this.pick(this.name(other ? (index + 1) % KEYS : index), version)
    const bytes = value === 'too large' ? TOO_LARGE : Buffer.from(value, 'latin1')
    const item = { key, value: bytes, ttlSec: TTL_SEC, flags }
    switch (op) {
      case 'get':
      case 'delete':
        return { op, key }
      case 'touch':
        return { op, key, ttlSec: TTL_SEC }
      case 'cad':
        return { op, key, cas }
      case 'cas':
        return { op, ...item, cas, wantCas }
      default:
        return { op, ...item }
    }
  }

  private pick(key: string, version: number): Cas {
    const known = this.versions.get(key) ?? []
    const cas = known.at(-1 - version) ?? known.at(-1) ?? this.spare
    if (cas === undefined) throw new Error('call begin first')
    return cas
  }

  private name(index: number): string {
    return `${this.prefix}${index}`
  }
}

/** The binary protocol tells versions more often than it must; remembering those would part the two histories. */
function promisesVersion(command: Command): boolean {
  return command.op === 'get' || command.op === 'touch' || (command.op === 'cas' && command.wantCas === true)
}

/** `keepsRefused`: a `set` that is refused leaves the old item, as it may. */
const STORES: readonly (readonly [string, () => Promise<WireSubject>, keepsRefused: boolean])[] = [
  ...PROTOCOLS.map((protocol) => [`memcached, ${protocol}`, () => memcachedSubject(protocol), false] as const),
  ...(hasRedis ? [['redis', () => redisSubject(), true] as const] : []),
]

describe.concurrent.each(STORES)('the memory wire does what the others do (%s)', (_name, make, keepsRefused) => {
  let real: WireSubject
  let runs = 0
  beforeAll(async () => {
    real = await make()
  })
  afterAll(() => real.close())

  it('same commands, same statuses, values and flags', async () => {
    await fc.assert(
      fc.asyncProperty(sequence, async (drawn) => {
        const prefix = `run${runs++}-`
        const flights = keepsRefused ? drawn.map((steps) => steps.filter(({ op, value }) => op !== 'set' || value !== 'too large')) : drawn
        const players = [new Player(real.wire, prefix), new Player(createMemoryWire(), prefix)]
        const [there, inMemory] = await Promise.all(
          players.map(async (player) => {
            await player.begin()
            return player.play(flights)
          }),
        )
        expect(inMemory).toEqual(there)
      }),
      { numRuns: runsOf(200) },
    )
  })

  it('a TTL of t lives (t - 1, t], and a second less where the clock skips one', async () => {
    // Where in the server's second each starts is chance; the bounds are for any.
    const starts = fc.sample(fc.record({ ttlSec: fc.constantFrom(1, 2, 3), startMs: fc.nat(900) }), 40)
    await Promise.all(
      starts.map(async ({ ttlSec, startMs }, index) => {
        await delay(startMs)
        const key = `ttl-${index}`
        const before = performance.now()
        await run(real.wire, { op: 'set', key, value: text('x'), ttlSec })
        const after = performance.now()
        const clock = new VirtualClock({ nowMs: before })
        const memory = createMemoryWire({ clock })
        await run(memory, { op: 'set', key, value: text('x'), ttlSec })
        const lived = await lifeOf(real.wire, key)
        // By the last sight of it, and the first of its absence. The memory wire's clock skips nothing.
        expect(lived.goneMs - before).toBeGreaterThan((ttlSec - 2) * 1000)
        expect(lived.aliveMs - after).toBeLessThan(ttlSec * 1000 + 500)
        await clock.advance((ttlSec - 1) * 1000)
        expect((await run(memory, { op: 'get', key })).status).toBe('ok')
        await clock.advance(1000)
        expect((await run(memory, { op: 'get', key })).status).toBe('missing')
      }),
    )
  })
})

/** Looks every few milliseconds: when the item was last seen (0: never), and when it was first missed. */
async function lifeOf(wire: Wire, key: string): Promise<{ aliveMs: number; goneMs: number }> {
  let aliveMs = 0
  for (;;) {
    const askedMs = performance.now()
    const { status } = await run(wire, { op: 'get', key })
    if (status === 'missing') return { aliveMs, goneMs: performance.now() }
    aliveMs = askedMs
    await delay(20)
  }
}
