import type { SessionManager } from 'latchkey'

export interface Job {
  readonly sessionId: string
  readonly item: string
}

interface Shop {
  bought: string[]
}

/**
 * Works off a queue. Several workers may run, in any number of processes: two jobs of one session are done one after
 * the other, those of others at the same time. Ends when the queue does; rejects with the signal's reason when it aborts,
 * with nothing held, and with the job that was under way either done or not begun.
 */
export async function work(manager: SessionManager, queue: AsyncIterable<Job>, signal: AbortSignal): Promise<number> {
  let done = 0
  for await (const { sessionId, item } of queue) {
    // Stored, and let go, at the end of the block, also when it throws or returns.
    await using session = await manager.start<Shop>(sessionId, { signal, label: 'queue-worker' })
    session.data.bought = [...(session.data.bought ?? []), item]
    done++
  }
  return done
}
