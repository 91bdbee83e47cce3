import { randomFillSync } from 'node:crypto'

/** Randomness as the protocol sees it; injected, so that a simulation can replay a run from its seed. */
export interface Random {
  /** `count` fresh bytes. For ids and tokens: the default is cryptographically strong. */
  bytes(count: number): Uint8Array
  /** Uniform in [0, 1). For jitter. */
  fraction(): number
}

const POOL_BYTES = 8192

/** The operating system's randomness, drawn in blocks: a token then costs no system call of its own. */
class SystemRandom implements Random {
  private readonly pool = Buffer.allocUnsafeSlow(POOL_BYTES)
  private used = POOL_BYTES

  bytes(count: number): Uint8Array {
    if (this.used + count > POOL_BYTES) {
      randomFillSync(this.pool)
      this.used = 0
    }
    // A copy: the pool is overwritten, what was drawn must not change.
    const drawn = Uint8Array.prototype.slice.call(this.pool, this.used, this.used + count)
    this.used += count
    return drawn
  }

  fraction(): number {
    return Math.random()
  }
}

export const systemRandom: Random = new SystemRandom()
