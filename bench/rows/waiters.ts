/** waiters: 10,000 pending SessionStore.read() on 1,000 sessions: memory, and how long until all are served. */
import { setTimeout as sleep } from 'node:timers/promises'
import { MemcachedServer } from '../../test/support/memcached-server.js'
import type { Worker } from '../processes/worker.js'
import { Child, sharedNowMs } from '../support/child.js'
import { num, type Row, type RowResult } from '../support/result.js'
import { median } from '../support/statistics.js'
import { type WaitingRequests, waitingRequests } from './waiting-requests.js'

const SESSIONS = 1000
const EACH = 10

export const waiters: Row = {
  about: '10,000 pending reads on 1,000 sessions: bytes each, and until all are served',
  async run(context): Promise<RowResult> {
    await using server = await MemcachedServer.start({ args: ['-m', '256'] })
    const options = { savePath: `tcp://${server.address}`, waitMs: 600_000, maxHoldMs: 3_600_000 }
    const ids = Array.from({ length: SESSIONS }, (_, index) => `w-${String(index)}`)
    const bytes: number[] = []
    const servedMs: number[] = []
    const rounds = context.quick ? 2 : 5
    for (let round = 0; round < rounds; round++) {
      context.progress(`round ${String(round + 1)} of ${String(rounds)}`)
      const holder = await Child.start<Worker>('worker.ts')
      const waiter = await Child.start<Worker>('worker.ts', ['--expose-gc'])
      await Promise.all([holder.call('open', options), waiter.call('open', options)])
      await holder.call('acquireAll', ids)
      await waiter.call('pend', { ids, each: EACH })
      await sleep(1500)
      bytes.push(await waiter.call('heapPerPending', null))
      const served = waiter.call('servePending', null)
      const releasedAtMs = sharedNowMs()
      await holder.call('releaseAll', null)
      servedMs.push((await served) - releasedAtMs)
      holder.stop()
      waiter.stop()
    }
    const http = context.quick ? undefined : await waitingRequests(server, SESSIONS, EACH, context)
    const rows = [['SessionStore.read()', num(median(bytes)), num(median(servedMs))]]
    if (http !== undefined) rows.push(['HTTP requests', num(http.bytesEach), num(http.servedMs)])
    return {
      figures: {
        'waiters.bytesEach': median(bytes),
        'waiters.servedMs': median(servedMs),
        ...(http === undefined ? {} : { 'waiters.httpBytesEach': http.bytesEach, 'waiters.httpServedMs': http.servedMs }),
      },
      tables: [
        {
          title: `waiters: ${String(SESSIONS * EACH)} pending on ${String(SESSIONS)} sessions of another process`,
          head: ['', 'heap bytes each', 'all served, ms'],
          rows,
        },
      ],
      charts: [],
      notes: notesOf(http, context.quick),
    }
  },
}

function notesOf(http: WaitingRequests | undefined, quick: boolean): string[] {
  if (http === undefined) return quick ? [] : ['latchkey/express is missing in this build: no waiting HTTP requests']
  const { refused } = http
  return refused.length === 0 ? [] : [`${String(refused.length)} HTTP requests were not served: ${[...new Set(refused)].join(', ')}`]
}
