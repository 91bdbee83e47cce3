/** Hand-offs by the bare commands and a bare bell: what is the machine's own share. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BareWorker } from '../processes/bare-worker.js'
import { Child } from '../support/child.js'
import type { Delays } from './php-handoff.js'

/** The second one leaves the machine idle in between, as it is between the hand-offs of long holds. */
const HOLDS_MS = [5, 50]
const WARM_UP = { holdMs: 1, times: 500 }

export async function bareHandoffs(port: number, times: number): Promise<Delays[]> {
  const directory = mkdtempSync(join(tmpdir(), 'latchkey-bare-'))
  const bells = ['one', 'other'].map((name) => join(directory, name))
  const workers = await Promise.all(bells.map(() => Child.start<BareWorker>('bare-worker.ts')))
  await Promise.all(workers.map((worker, at) => worker.call('open', { port, bell: bells[at] ?? '' })))
  await Promise.all(workers.map((worker, at) => worker.call('visit', bells[1 - at] ?? '')))
  await exchange(workers, WARM_UP.holdMs, WARM_UP.times)
  const found: Delays[] = []
  for (const holdMs of HOLDS_MS) found.push({ holdMs, delaysMs: await exchange(workers, holdMs, times) })
  for (const worker of workers) worker.stop()
  rmSync(directory, { recursive: true })
  return found
}

async function exchange(workers: readonly Child<BareWorker>[], holdMs: number, times: number): Promise<number[]> {
  const delaysMs: number[] = []
  let [holder, waiter] = workers
  if (holder === undefined || waiter === undefined) throw new Error('two workers were started')
  for (let time = 0; time < times; time++) {
    const taken = waiter.call('take', null)
    const gaveAtMs = await holder.call('giveAfter', holdMs)
    delaysMs.push((await taken) - gaveAtMs)
    ;[holder, waiter] = [waiter, holder]
  }
  return delaysMs
}
