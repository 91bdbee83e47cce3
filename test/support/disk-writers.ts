import { type ChildProcess, fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { SessionManager } from '../../src/index.js'
import { builtProgram } from './programs.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export const sumOf = (n: number, fill: string): string => createHash('sha1').update(`${String(n)} ${fill}`).digest('hex')

export interface CrashReport {
  readonly kills: number
  readonly acknowledged: number
  /** The sessions whose record is older than their last acknowledged write. */
  readonly lost: readonly string[]
  /** How many writes were acknowledged twice under one number: one of two writers has overwritten the other. */
  readonly overwritten: number
  readonly torn: number
  readonly failures: readonly string[]
}

/** Lets four processes write to the same sessions, and kills one after the other at any moment and replaces it. */
export async function killWriters(savePath: string, kills: number, betweenMs: () => number): Promise<CrashReport> {
  const main = await builtProgram(join(ROOT, 'test/support/disk-writer-main.ts'))
  const newest = new Map<string, number>()
  const seen = new Set<string>()
  const failures: string[] = []
  let acknowledged = 0
  let overwritten = 0
  let torn = 0
  const start = async (): Promise<ChildProcess> => {
    const child = fork(main, { execArgv: [], env: { ...process.env, SAVE_PATH: savePath } })
    child.on('message', (told: { id: string; n: number; torn: boolean } | { failed: string }) => {
      if ('failed' in told) {
        failures.push(told.failed)
        return
      }
      acknowledged++
      if (told.torn) torn++
      const name = `${told.id} ${String(told.n)}`
      if (seen.has(name)) overwritten++
      seen.add(name)
      newest.set(told.id, Math.max(newest.get(told.id) ?? 0, told.n))
    })
    await once(child, 'message')
    return child
  }
  const writers = await Promise.all([start(), start(), start(), start()])
  for (let killed = 0; killed < kills; killed++) {
    await sleep(betweenMs())
    const at = killed % writers.length
    const exited = once(writers[at] as ChildProcess, 'close')
    writers[at]?.kill('SIGKILL')
    await exited
    writers[at] = await start()
  }
  await Promise.all(
    writers.map(async (writer) => {
      const exited = once(writer, 'close')
      writer.kill('SIGKILL')
      await exited
    }),
  )
  const manager = new SessionManager({ savePath, deadlineMs: 30_000 })
  const lost: string[] = []
  for (const [id, n] of newest) {
    const data = await manager.peek<{ n: number; fill: string; sum: string }>(id)
    if ((data?.n ?? 0) < n) lost.push(`${id}: ${String(data?.n)} of ${String(n)}`)
    if (data?.n !== undefined && data.sum !== sumOf(data.n, data.fill ?? '')) torn++
  }
  await manager.close()
  return { kills, acknowledged, lost, overwritten, torn, failures }
}
