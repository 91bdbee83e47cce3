import { randomFillSync } from 'node:crypto'
import { openSync, readSync } from 'node:fs'
import * as v8 from 'node:v8'
import { Nonce, NonceOfTurn } from './nonce.js'

/** The source of randomness. It is injected, so that a simulation can replay a run from its seed. */
export interface Random {
  /** Draws `count` fresh bytes. For ids, tokens and stamps: the default is cryptographically strong. */
  bytes(count: number): Uint8Array
  /** Draws a number, uniform in [0, 1). For jitter only: another process may draw the same numbers. */
  fraction(): number
  /**
   * Returns the nonce of this turn of the event loop, which gives out names. Without it each name is drawn by itself.
   */
  nonce?(): Nonce
}

/** The nonce of this turn. */
export const nonceOf = (random: Random): Nonce => random.nonce?.() ?? new Nonce((count) => random.bytes(count))

const POOL_BYTES = 8192

/**
 * How much is read at once, into a buffer that is used again and again. A read straight into the caller's array would
 * need a new buffer each time, because small arrays have none of their own.
 */
const READ_BYTES = 256

/**
 * Reads the kernel's randomness at every draw (half a microsecond). Randomness that a process keeps in its memory
 * (node:crypto's generator, and the pool that is filled from it here) repeats itself when the process is resumed twice
 * from one snapshot: two sessions would get one id, and two records one IV. The pool is mixed in, so that where the
 * kernel cannot be read (Windows), or something else is read in its place, the result is as good as node:crypto's.
 */
export class SystemRandom implements Random {
  private readonly pool = Buffer.allocUnsafeSlow(POOL_BYTES)
  private readonly read = Buffer.allocUnsafeSlow(READ_BYTES)
  private used = POOL_BYTES
  private readonly ofTurn = new NonceOfTurn((count) => this.bytes(count))

  constructor(
    private readonly fillPool: (pool: Buffer) => unknown = randomFillSync,
    /** Fills the first `count` bytes of `bytes` from the kernel; returns false when it could not. */
    private readonly readKernel: (bytes: Buffer, count: number) => boolean = fromKernel,
  ) {}

  bytes(count: number): Uint8Array {
    const drawn = new Uint8Array(count)
    for (let at = 0; at < count; at += READ_BYTES) this.draw(drawn, at, Math.min(count - at, READ_BYTES))
    return drawn
  }

  fraction(): number {
    return Math.random()
  }

  /** Reads the kernel once for all names of a turn: where system calls are slow, a read takes several microseconds. */
  nonce(): Nonce {
    return this.ofTurn.get()
  }

  private draw(drawn: Uint8Array, at: number, count: number): void {
    const { pool, read } = this
    if (this.used + count > POOL_BYTES) {
      this.fillPool(pool)
      this.used = 0
    }
    if (!this.readKernel(read, count)) read.fill(0, 0, count)
    for (let i = 0; i < count; i++) drawn[at + i] = (read[i] ?? 0) ^ (pool[this.used + i] ?? 0)
    this.used += count
  }
}

/**
 * /dev/urandom, opened at the first draw and kept open: then each read is
 * one short system call. -1: there is no such file.
 */
let device: number | undefined

function fromKernel(bytes: Buffer, count: number): boolean {
  if (device === -1) return false
  try {
    device ??= open()
    return readSync(device, bytes, 0, count, null) === count
  } catch (thrown) {
    // Other errors may pass (no file descriptor is left, or somebody has closed them all): the next draw tries again.
    device = isMissing(thrown) ? -1 : undefined
    return false
  }
}

/**
 * Opens /dev/urandom. A process that is started from a snapshot of Node's (`--build-snapshot`) still has the number of
 * the file descriptor, but no open file under it: the callback forgets the number.
 */
function open(): number {
  // Bun has no startupSnapshot. Node's function returns 1 and not true.
  const { startupSnapshot }: Partial<typeof v8> = v8
  if (startupSnapshot?.isBuildingSnapshot()) {
    startupSnapshot.addDeserializeCallback(() => {
      device = undefined
    })
  }
  return openSync('/dev/urandom', 'r')
}

const isMissing = (thrown: unknown): boolean => thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT'

export const systemRandom: Random = new SystemRandom()
