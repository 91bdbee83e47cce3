import { randomFillSync } from 'node:crypto'
import { openSync, readSync } from 'node:fs'
import * as v8 from 'node:v8'

/** Randomness as the protocol sees it; injected, so that a simulation can replay a run from its seed. */
export interface Random {
  /** `count` fresh bytes. For ids, tokens and stamps: the default is cryptographically strong. */
  bytes(count: number): Uint8Array
  /** Uniform in [0, 1). For jitter, and nothing that must differ from what another process draws. */
  fraction(): number
  /** Names for what one turn of the event loop begins. Without it each of them is drawn by itself. */
  nonce?(): Nonce
}

const NONCE_BYTES = 20

/**
 * Names that nobody else has, from one drawing of random bytes and a count: no secrets, so not for session ids or IVs.
 *
 * It serves one turn of the event loop only. A process that is resumed twice from one snapshot would otherwise give the
 * same names in both copies to different things.
 */
export class Nonce {
  private readonly text: string
  private readonly bits: number
  private count = 0

  constructor(random: Pick<Random, 'bytes'>) {
    const bytes = random.bytes(NONCE_BYTES)
    this.text = Buffer.from(bytes.buffer, bytes.byteOffset, NONCE_BYTES - 4).toString('hex')
    this.bits = new DataView(bytes.buffer, bytes.byteOffset).getUint32(NONCE_BYTES - 4)
  }

  /** Lower-case letters, digits and `-`. */
  name(): string {
    return `${this.text}-${String(++this.count)}`
  }

  /** 32 bits. */
  number(): number {
    return (this.bits + ++this.count) >>> 0
  }
}

/** The nonce of this turn. */
export const nonceOf = (random: Random): Nonce => random.nonce?.() ?? new Nonce(random)

const POOL_BYTES = 8192

/** What is read at once. Not the array that is given away: for a small one the read would have to make a buffer first. */
const READ_BYTES = 256

/**
 * The kernel's randomness, at every draw (half a microsecond). What a process keeps in its memory (node:crypto's
 * generator, and the pool that is filled from it here) comes twice when the process is resumed twice from one snapshot:
 * two sessions then had one id, and two records one IV. The pool is mixed in, so that where the kernel cannot be read
 * (Windows), or something else is read in its place, this is as good as node:crypto.
 */
export class SystemRandom implements Random {
  private readonly pool = Buffer.allocUnsafeSlow(POOL_BYTES)
  private readonly read = Buffer.allocUnsafeSlow(READ_BYTES)
  private used = POOL_BYTES
  private ofThisTurn: Nonce | undefined

  constructor(
    private readonly fillPool: (pool: Buffer) => unknown = randomFillSync,
    /** Whether it has read the first `count` of `bytes`. */
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

  /** One read of the kernel for all that a turn begins: a read takes several microseconds where system calls are slow. */
  nonce(): Nonce {
    if (this.ofThisTurn === undefined) {
      this.ofThisTurn = new Nonce(this)
      setImmediate(this.endTurn)
    }
    return this.ofThisTurn
  }

  private readonly endTurn = (): void => {
    this.ofThisTurn = undefined
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

/** Opened at the first draw, for good: a read of it is one short system call. -1: this system has none. */
let device: number | undefined

function fromKernel(bytes: Buffer, count: number): boolean {
  if (device === -1) return false
  try {
    device ??= open()
    return readSync(device, bytes, 0, count, null) === count
  } catch (thrown) {
    // Where only no file descriptor was left, or somebody has closed them all, the next draw tries again.
    device = isMissing(thrown) ? -1 : undefined
    return false
  }
}

/** A process that is started from a snapshot of Node's (`--build-snapshot`) has the number, and no such file. */
function open(): number {
  // Bun has none. Node says 1, and not true.
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
