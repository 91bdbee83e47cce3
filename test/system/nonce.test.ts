import { describe, expect, it } from 'vitest'
import { NonceOfTurn } from '../../src/system/nonce.js'

const endOfTurn = async (): Promise<void> => {
  // The nonce asks for its turn's end in a microtask of its own: the first immediate may still come before it.
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
}

/** A process, its clock, and the kernel it draws from: each drawing is another byte. */
class Process {
  readonly nonce: NonceOfTurn
  drawings = 0

  constructor(
    public wallMs: number,
    public kernel: number,
  ) {
    this.nonce = new NonceOfTurn((count) => {
      this.drawings++
      return new Uint8Array(count).fill(this.kernel++)
    }, () => this.wallMs)
  }

  /** The drawing that a name of this turn was made of. */
  drawingOf(): number {
    return parseInt(this.nonce.get().name().slice(0, 2), 16)
  }
}

describe('the nonce of a turn', () => {
  it('is one for all names of the turn, and another in the next', async () => {
    const process = new Process(0, 1)
    const names = [process.nonce.get().name(), process.nonce.get().name()]
    await endOfTurn()
    names.push(process.nonce.get().name())
    expect(names.map((name) => name.slice(0, 2))).toEqual(['01', '01', '02'])
    expect(new Set(names).size).toBe(3)
  })

  it('is drawn at the end of the turn before, so that no request waits for it', async () => {
    const process = new Process(0, 1)
    process.drawingOf()
    await endOfTurn()
    const { drawings } = process
    process.drawingOf()
    expect(process.drawings).toBe(drawings)
  })

  it('is drawn after the turn has sent its commands', async () => {
    const process = new Process(0, 1)
    process.drawingOf()
    const drawingsAtSending = await new Promise((resolve) => setImmediate(() => { resolve(process.drawings) }))
    expect(drawingsAtSending).toBe(1)
  })

  it('serves one turn, however soon the next one comes', async () => {
    const process = new Process(0, 1)
    const seen: number[] = []
    for (let turn = 0; turn < 5; turn++) {
      seen.push(process.drawingOf())
      await endOfTurn()
    }
    expect(seen).toEqual([1, 2, 3, 4, 5])
  })

  it('is not drawn again and again where nobody asks for names', async () => {
    const process = new Process(0, 1)
    process.drawingOf()
    await endOfTurn()
    await endOfTurn()
    expect(process.drawings).toBe(2)
  })

  it.each([
    ['is thrown away', 2],
    ['is thrown away when the clock was set back,', -1],
    ['serves', 1],
  ])('that was drawn ahead %s after %i ms', async (verdict, waitedMs) => {
    const process = new Process(1000, 1)
    process.drawingOf()
    await endOfTurn()
    process.wallMs += waitedMs
    expect(process.drawingOf()).toBe(verdict === 'serves' ? 2 : 3)
  })

  it('is drawn by who needs it where it could not be drawn ahead', async () => {
    let isBroken = false
    const nonce = new NonceOfTurn((count) => {
      if (isBroken) throw new Error('no randomness')
      return new Uint8Array(count)
    })
    nonce.get()
    isBroken = true
    await endOfTurn()
    expect(() => nonce.get()).toThrow('no randomness')
    isBroken = false
    expect(nonce.get().name()).toMatch(/^0{32}-1$/)
  })

  it('is not the same in two processes that are resumed from one snapshot, however the first had worked', async () => {
    const names = await Promise.all(
      [100, 200].map(async (kernel) => {
        const process = new Process(1000, 1)
        process.drawingOf()
        await endOfTurn()
        process.wallMs += 60_000
        process.kernel = kernel
        return process.nonce.get().name()
      }),
    )
    expect(new Set(names).size).toBe(2)
  })
})
