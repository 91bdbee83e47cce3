import type { SessionManager } from '../../src/session/session-manager.js'
import type { Clock } from '../../src/system/clock.js'
import type { Random } from '../../src/system/random.js'
import type { SeededRandom } from '../../src/testing/seeded-random.js'
import { createMemoryWire } from '../../src/wire/memory/memory-wire.js'
import type { Command, Receiver, Reply, Wire } from '../../src/wire/wire.js'

/**
 * One of several processes that are resumed from one memory (a snapshot of a machine, CRIU). Before that moment all of
 * them draw and do the same, each on a server of its own. After it the randomness of the kernel is different in each,
 * and the randomness that a process draws from its memory is the same in all.
 */
export class ResumedProcess implements Random, Wire {
  private isResumed = false
  private readonly before: Wire

  constructor(
    private readonly memory: SeededRandom,
    private readonly kernel: SeededRandom,
    private readonly after: Wire,
    clock: Clock,
  ) {
    this.before = createMemoryWire({ clock })
  }

  /** Uses a session, so that the memory holds something of it. Ends before anything else happens in the world. */
  async warmUp(manager: SessionManager): Promise<void> {
    await manager.run<{ visits?: number }>('before', ({ data }) => {
      data.visits = 1
    })
    manager.createSid()
    this.isResumed = true
  }

  bytes(count: number): Uint8Array {
    return (this.isResumed ? this.kernel : this.memory).bytes(count)
  }

  fraction(): number {
    return this.memory.fraction()
  }

  flight(route: string, commands: readonly Command[]): Promise<Reply[]> {
    return (this.isResumed ? this.after : this.before).flight(route, commands)
  }

  send(route: string, commands: readonly Command[], receiver: Receiver): void {
    if (this.isResumed) this.after.send?.(route, commands, receiver)
    else {
      void this.flight(route, commands).then(
        (replies) => { receiver.landed(replies) },
        (failure: unknown) => { receiver.failed(failure) },
      )
    }
  }

  maxValueBytes(route: string, key: string): number {
    return this.after.maxValueBytes(route, key)
  }

  sweep(): number {
    return 0
  }

  close(): Promise<void> {
    return this.after.close()
  }
}
