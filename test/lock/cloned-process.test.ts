import { type Random, SessionManager, type Wire } from 'latchkey'
import { SeededRandom } from 'latchkey/testing'
import { describe, expect, it } from 'vitest'
import { createMemoryWire } from '../../src/wire/memory/memory-wire.js'

/** Processes that are resumed from one snapshot: what is in their memory they all have, the kernel's randomness not. */

const kernels = new SeededRandom(1)

/** A process as it was made, and perhaps at work, before the snapshot; what it draws from then on comes from the kernel. */
class ResumedProcess implements Random {
  readonly manager: SessionManager
  private readonly memory = new SeededRandom(7)
  private readonly kernel = kernels.fork()
  private isResumed = false

  constructor(
    private readonly id: string,
    wire: Wire,
  ) {
    this.manager = new SessionManager({ wire, random: this, waitMs: 0 })
  }

  bytes(count: number): Uint8Array {
    return (this.isResumed ? this.kernel : this.memory).bytes(count)
  }

  fraction(): number {
    return this.memory.fraction()
  }

  /** Each had a visitor of its own, on what is otherwise the same server. */
  async warmUp(): Promise<void> {
    await this.manager.run<{ visits?: number }>(`visitor-of-${this.id}`, ({ data }) => {
      data.visits = 1
    })
  }

  resume(): SessionManager {
    this.isResumed = true
    return this.manager
  }
}

describe('two processes that are resumed from one snapshot', () => {
  type Two = readonly [SessionManager, SessionManager]
  const makeTwo = (): readonly [ResumedProcess, ResumedProcess] => {
    const wire = createMemoryWire()
    return [new ResumedProcess('a', wire), new ResumedProcess('b', wire)]
  }
  const cold = (): Two => {
    const [one, other] = makeTwo()
    return [one.resume(), other.resume()]
  }
  const warm = async (): Promise<Two> => {
    const [one, other] = makeTwo()
    await Promise.all([one.warmUp(), other.warmUp()])
    return [one.resume(), other.resume()]
  }

  it.each([
    ['made', cold],
    ['used', warm],
  ])('do not take over what the other holds, when the manager had been %s', async (_when, resume) => {
    const [one, other] = await resume()
    const held = await one.start<{ visits?: number }>('shared')
    await expect(other.start('shared')).rejects.toMatchObject({ code: 'LATCHKEY_LOCK_TIMEOUT' })
    held.data.visits = 1
    await held.release()
    await other.run('shared', ({ data }) => {
      expect(data).toEqual({ visits: 1 })
    })
  })

  it.each([
    ['made', cold],
    ['used', warm],
  ])('do not both store one and the same count, when the manager had been %s', async (_when, resume) => {
    const [one, other] = await resume()
    let stored = 0
    const visit = async (manager: SessionManager): Promise<void> => {
      const session = await manager.start<{ visits?: number }>('shared')
      // Both have it in their hands, if both were given it.
      await new Promise((resolve) => setImmediate(resolve))
      session.data.visits = (session.data.visits ?? 0) + 1
      await session.release()
      stored++
    }
    await Promise.allSettled([visit(one), visit(other)])
    expect(await one.peek('shared')).toEqual({ visits: stored })
  })
})
