import { MemoryStore } from '../../../src/wire/memory/memory-store.js'
import type { Command, Reply, Value } from '../../../src/wire/wire.js'
import type { SimulatedTime } from './time.js'

/** Where a command came from: whatever the wire's owner wants to find again in `onExecuted`. */
export interface Origin {
  readonly actor: number
  /** When the flight left its process. */
  readonly sentAtMs: number
  /** When its first command was carried out. */
  startedAtMs: number
  /** It was carried out after its sender had given it up. */
  isZombie: boolean
}

const LIMITS = { maxItemBytes: 1024 * 1024, maxTotalBytes: undefined }

/**
 * One memcached in a simulated world: its commands and TTLs, and what a server can do to its clients. It stops and
 * goes on (then everything that waited is carried out, that included which nobody waits for any more), it restarts
 * empty with its CAS numbers beginning again, it evicts, it runs out of memory.
 */
export class SimulatedServer {
  /** Sees every command when it is carried out. */
  onExecuted: (command: Command, reply: Reply, origin: Origin) => void = () => undefined
  /** Told when every connection dies. */
  readonly onRestart: (() => void)[] = []
  /** The process: another one after each restart. */
  epoch = 1
  isOutOfMemory = false
  private store = new MemoryStore(LIMITS)
  private stopped = false
  private stoppedSec = 0
  private staleSec: number | undefined
  private waiting: { readonly epoch: number; readonly run: () => void }[] = []

  /** @param phaseMs where in its second the server's clock stands at the beginning. */
  constructor(
    private readonly time: SimulatedTime,
    private readonly phaseMs = 0,
  ) {}

  get isStopped(): boolean {
    return this.stopped
  }

  /** The second that it is on the server; while it is stopped its clock stands. */
  get nowSec(): number {
    if (this.stopped) return this.stoppedSec
    return this.staleSec ?? Math.floor((this.time.nowMs + this.phaseMs) / 1000)
  }

  /** Whether its clock has not ticked yet since it went on. */
  get isBehind(): boolean {
    return this.staleSec !== undefined
  }

  /** How long until the server's clock shows `sec`. */
  untilSec(sec: number): number {
    return sec * 1000 - this.phaseMs - this.time.nowMs
  }

  /** Does what came over a connection to the process `epoch`: at once, when the server goes on, or never. */
  arrive(epoch: number, run: () => void): void {
    if (epoch !== this.epoch) return
    if (this.stopped) this.waiting.push({ epoch, run })
    else run()
  }

  /** Carries out one command, now. */
  execute(command: Command, origin: Origin): Reply {
    const reply = this.isOutOfMemory ? this.refuse(command) : this.store.run(command, this.nowSec)
    this.onExecuted(command, reply, origin)
    return reply
  }

  /** The server stands still, as by SIGSTOP; what comes for it waits. */
  stop(): void {
    if (!this.stopped) this.stoppedSec = this.nowSec
    this.stopped = true
  }

  /**
   * Continues a server that was stopped.
   *
   * @param isBehind what waited is carried out before the server's clock ticks, as a real one may do: its TTLs count
   *   from the second at which the server was stopped.
   */
  goOn(isBehind = false): void {
    this.stopped = false
    const waiting = this.waiting
    this.waiting = []
    this.staleSec = isBehind ? this.stoppedSec : undefined
    for (const { epoch, run } of waiting) this.arrive(epoch, run)
    this.staleSec = undefined
  }

  /** Comes back empty and without its connections; what waited at the old process is gone with it. */
  restart(): void {
    this.epoch++
    this.stopped = false
    this.staleSec = undefined
    this.waiting = []
    this.store = new MemoryStore(LIMITS)
    for (const tell of this.onRestart) tell()
  }

  /** Whether there was something to evict. */
  evict(key: string): boolean {
    return this.store.run({ op: 'delete', key }, this.nowSec).status === 'ok'
  }

  /** The value under `key`, as if read now by nobody. */
  valueOf(key: string): Value | undefined {
    return this.store.run({ op: 'get', key }, this.nowSec).value
  }

  private refuse(command: Command): Reply {
    if (command.op !== 'add' && command.op !== 'cas' && command.op !== 'set') return this.store.run(command, this.nowSec)
    // As the real one: a refused `set` drops what it would have replaced.
    if (command.op === 'set') this.store.run({ op: 'delete', key: command.key }, this.nowSec)
    return { status: 'outOfMemory', value: undefined, flags: 0, cas: undefined }
  }
}
