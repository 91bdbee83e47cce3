const NONCE_BYTES = 20

/** Used again for each nonce: a buffer around a small array would make V8 move the array out of its heap, which takes half a microsecond. */
const drawn = Buffer.allocUnsafeSlow(NONCE_BYTES)

/** Draws `count` fresh bytes from the kernel. */
type Draw = (count: number) => Uint8Array

/**
 * Gives out names that nobody else has, made of random bytes drawn once and a count. The names can be guessed from each
 * other, so they are no secrets: do not use them as session ids or IVs.
 *
 * A nonce serves one turn of the event loop only. Otherwise the two copies of a process that is resumed twice from one
 * snapshot would give the same names to different things.
 */
export class Nonce {
  private readonly text: string
  private readonly bits: number
  private count = 0

  constructor(draw: Draw) {
    drawn.set(draw(NONCE_BYTES))
    this.text = drawn.toString('hex', 0, NONCE_BYTES - 4)
    this.bits = drawn.readUInt32BE(NONCE_BYTES - 4)
  }

  /** A new name of lower-case letters, digits and `-`. */
  name(): string {
    return `${this.text}-${String(++this.count)}`
  }

  /** A new number of 64 bits. */
  wide(): bigint {
    return BigInt.asUintN(64, BigInt(`0x${this.text.slice(0, 16)}`) + BigInt(++this.count))
  }

  /** A new number of 32 bits. */
  number(): number {
    return (this.bits + ++this.count) >>> 0
  }
}

/**
 * How long a nonce that was drawn ahead may wait for its turn; one more, as the clock counts whole milliseconds. The copies of a process share what it drew ahead in the
 * last milliseconds before the snapshot, so this is short. Two turns of a busy server are less than one apart.
 */
const AHEAD_MS = 1

const SETTLED = Promise.resolve()

/**
 * Gives every turn of the event loop a nonce of its own. The end of a turn that used one draws the next one: by then the
 * turn's commands are sent, and this process would only wait for the server. Otherwise the next request would have to
 * wait for the drawing, which takes 2 to 6 microseconds, before its lock is asked for.
 */
export class NonceOfTurn {
  private current: Nonce | undefined
  private ahead: Nonce | undefined
  private aheadMs = 0

  /** @param wallMs a clock that goes on while a process is kept as a snapshot */
  constructor(
    private readonly draw: Draw,
    private readonly wallMs: () => number = Date.now,
  ) {}

  get(): Nonce {
    if (this.current === undefined) {
      this.current = this.takeAhead() ?? new Nonce(this.draw)
      // Not `setImmediate` at once: the commands that carry this nonce's names are about to be put into a batch, whose own
      // immediate sends them. It has to be the first of the two, or they would wait for the drawing.
      void SETTLED.then(this.awaitEnd)
    }
    return this.current
  }

  private takeAhead(): Nonce | undefined {
    const { ahead } = this
    this.ahead = undefined
    // A clock that was set back says nothing of how old it is.
    const waitedMs = this.wallMs() - this.aheadMs
    return waitedMs >= 0 && waitedMs <= AHEAD_MS ? ahead : undefined
  }

  private readonly awaitEnd = (): void => {
    setImmediate(this.endTurn)
  }

  private readonly endTurn = (): void => {
    this.current = undefined
    try {
      this.ahead = new Nonce(this.draw)
      this.aheadMs = this.wallMs()
    } catch {
      // The request that needs a nonce draws it by itself, and is told. Thrown here, it would end the process.
    }
  }
}
