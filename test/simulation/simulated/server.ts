import { MemoryStore } from '../../../src/wire/memory/memory-store.js'
import type { Command, Reply, Value } from '../../../src/wire/wire.js'
import type { SimulatedTime } from './time.js'

/** Where a command came from, for `onExecuted`. */
export interface Origin {
  readonly actor: number
  /** When the flight left its process. */
  readonly sentAtMs: number
  /** When the flight's first command was carried out. */
  startedAtMs: number
  /** Whether the flight was carried out after its sender had given it up. */
  isZombie: boolean
}

const LIMITS = { maxItemBytes: 1024 * 1024, maxTotalBytes: undefined }

/**
 * One memcached in a simulated world: its commands and TTLs, and everything that a server can do to its clients. The
 * server stops and goes on (and then carries out all commands that have arrived, even those that nobody waits for any
 * more). It restarts empty, with its CAS numbers from the beginning. It evicts, and it runs out of memory.
 */
export class SimulatedServer {
  /** Called for every command when it is carried out. */
  onExecuted: (command: Command, reply: Reply, origin: Origin) => void = () => undefined
  /** Called when a store that was refused has taken the old item with it. */
  onUnlinked: (key: string) => void = () => undefined
  /** Called when the server restarts, and every connection dies. */
  readonly onRestart: (() => void)[] = []
  /** The number of the server's process; each restart makes another. */
  epoch = 1
  isOutOfMemory = false
  private store = new MemoryStore(LIMITS)
  /** By key: the version that a client has given to an item, and the server's own version of that item. */
  private readonly given = new Map<string, { readonly own: string; readonly real: string }>()
  private stopped = false
  private stoppedSec = 0
  private staleSec: number | undefined
  private awayUntilMs = -Infinity
  private waiting: { readonly epoch: number; readonly run: () => void }[] = []

  /** @param phaseMs where in its second the server's clock stands at the beginning. */
  constructor(
    private readonly time: SimulatedTime,
    private readonly phaseMs = 0,
  ) {}

  /** Whether the server is down between its end and its next start, which only a proxy outlives. */
  get isAway(): boolean {
    return this.time.nowMs < this.awayUntilMs
  }

  get isStopped(): boolean {
    return this.stopped
  }

  /** The present second on the server's clock, which stands still while the server is stopped. */
  get nowSec(): number {
    if (this.stopped) return this.stoppedSec
    return this.staleSec ?? Math.floor((this.time.nowMs + this.phaseMs) / 1000)
  }

  /** Whether the server goes on after a stop and its clock has not ticked yet. */
  get isBehind(): boolean {
    return this.staleSec !== undefined
  }

  /** How long until the server's clock shows `sec`. */
  untilSec(sec: number): number {
    return sec * 1000 - this.phaseMs - this.time.nowMs
  }

  /** Runs what came over a connection to the process `epoch`: at once, when the server goes on, or never. */
  arrive(epoch: number, run: () => void): void {
    if (epoch !== this.epoch) return
    if (this.stopped) this.waiting.push({ epoch, run })
    else run()
  }

  /** Carries out one command at once. */
  execute(command: Command, origin: Origin): Reply {
    const known = this.withRealVersion(command)
    const ran = this.isOutOfMemory ? this.refuse(known) : this.store.run(known, this.nowSec)
    const given = this.given.get(command.key)
    const reply = ran.cas === undefined || ran.cas.version !== given?.real ? ran : { ...ran, cas: { ...ran.cas, version: given.own } }
    this.onExecuted(command, reply, origin)
    return reply
  }

  /** As memcached's `md ... I E`: what stands there, if anything does, has that version from now on. */
  giveVersion(key: string, own: string): void {
    const real = this.store.run({ op: 'get', key }, this.nowSec).cas?.version
    if (real !== undefined) this.given.set(key, { own, real })
  }

  /** As memcached's `ms ... E`: stores an item by that version. Where there is no memory the old item goes. */
  executeWithVersion(command: Command & { readonly op: 'add' | 'cas' }, own: string, origin: Origin): Reply {
    const reply = this.execute(command, origin)
    if (reply.status === 'outOfMemory' && this.evict(command.key)) this.onUnlinked(command.key)
    if (reply.status !== 'ok') return reply
    this.giveVersion(command.key, own)
    return { ...reply, cas: { version: own, asOf: Infinity } }
  }

  private withRealVersion(command: Command): Command {
    const given = this.given.get(command.key)
    if (given === undefined || !('cas' in command)) return command
    const { version } = command.cas
    return { ...command, cas: { ...command.cas, version: version === given.own ? given.real : version === given.real ? '0' : version } }
  }

  /** Stops the server, as SIGSTOP does. Commands that arrive wait. */
  stop(): void {
    if (!this.stopped) this.stoppedSec = this.nowSec
    this.stopped = true
  }

  /**
   * Continues a server that was stopped.
   *
   * @param isBehind whether the commands that have waited are carried out before the server's clock ticks, as may
   *   happen on a real one: their TTLs then count from the second at which the server was stopped.
   */
  goOn(isBehind = false): void {
    this.stopped = false
    const waiting = this.waiting
    this.waiting = []
    this.staleSec = isBehind ? this.stoppedSec : undefined
    for (const { epoch, run } of waiting) this.arrive(epoch, run)
    this.staleSec = undefined
  }

  /**
   * Restarts the server, empty and without its connections. Commands that waited at the old process are lost.
   *
   * @param awayMs how long it is away until then.
   */
  restart(awayMs = 0): void {
    this.awayUntilMs = this.time.nowMs + awayMs
    this.epoch++
    this.stopped = false
    this.staleSec = undefined
    this.waiting = []
    this.store = new MemoryStore(LIMITS)
    this.given.clear()
    for (const tell of this.onRestart) tell()
  }

  /** Evicts an item; returns whether there was one. */
  evict(key: string): boolean {
    return this.store.run({ op: 'delete', key }, this.nowSec).status === 'ok'
  }

  /** The present value under `key`, read without a command that `onExecuted` would see. */
  valueOf(key: string): Value | undefined {
    return this.store.run({ op: 'get', key }, this.nowSec).value
  }

  /** What a dump of the keys shows. */
  keys(prefix: string): string[] {
    return this.store.keys(prefix, this.nowSec)
  }

  private refuse(command: Command): Reply {
    if (command.op !== 'add' && command.op !== 'cas' && command.op !== 'set') return this.store.run(command, this.nowSec)
    // Like the real server, a refused `set` deletes the old item.
    if (command.op === 'set') this.store.run({ op: 'delete', key: command.key }, this.nowSec)
    return { status: 'outOfMemory', value: undefined, flags: 0, cas: undefined }
  }
}
