/** The soak ends whatever happens to its processes, and leaves none behind. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { expect, it } from 'vitest'
import { isAlive } from '../support/is-alive.js'
import { ROOT } from '../support/pages.js'
import { undoneAfterEach } from '../support/undo.js'

const { undo, newDirectory } = undoneAfterEach()

function soak(): ChildProcess & { stdout: NonNullable<ChildProcess['stdout']> } {
  const args = ['--import', 'tsx', 'soak/main.ts', '--save-path', `file:${newDirectory()}`, '--minutes', '0.05', '--processes', '2', '--json']
  const started = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'ignore'] })
  undo.push(() => void started.kill('SIGKILL'))
  return started
}

const workersOf = ({ pid }: ChildProcess): number[] =>
  readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8').trim().split(' ').filter((word) => word !== '').map(Number)

/** A worker that is still being loaded hears of nothing until then. */
const PATIENT = { timeout: 60_000 }

it('a worker that dies by itself is a violation', async () => {
  const started = soak()
  const said = text(started.stdout)
  await expect.poll(() => workersOf(started).length, PATIENT).toBe(2)
  process.kill(workersOf(started)[0] ?? 0, 'SIGABRT')
  await once(started, 'exit')
  expect(JSON.parse(await said)).toMatchObject({ violations: expect.arrayContaining([expect.stringContaining('died by itself (SIGABRT)')]) })
})

it('when the soak is killed its workers end', async () => {
  const started = soak()
  await expect.poll(() => workersOf(started).length, PATIENT).toBe(2)
  const workers = workersOf(started)
  started.kill('SIGKILL')
  await expect.poll(() => workers.filter(isAlive), PATIENT).toEqual([])
})
