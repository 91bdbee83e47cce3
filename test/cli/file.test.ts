import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SessionManager } from 'latchkey'
import { afterAll, expect, it } from 'vitest'
import { jsonOf, latchkey } from './tool.js'

/** The tool on a store on disk. */

const directory = mkdtempSync(join(tmpdir(), 'latchkey-cli-'))
const env = { LATCHKEY_SAVE_PATH: `file:${directory}` }
const manager = new SessionManager({ savePath: `file:${directory}` })
afterAll(async () => {
  await manager.close({ graceMs: 0 })
  rmSync(directory, { recursive: true, force: true })
})

it('looks into it', async () => {
  await manager.run('an-id', (session) => {
    session.data['user'] = 'ada'
  })
  expect(jsonOf(await latchkey(['inspect', 'an-id'], { env }))).toMatchObject({ server: directory, state: 'stored', ttlSec: 1440, shape: { user: 'text(3)' } })
  const held = await manager.start('an-id', { label: 'GET /' })
  expect(jsonOf(await latchkey(['locks'], { env }))).toMatchObject({ locks: [{ label: 'GET /' }] })
  expect(jsonOf(await latchkey(['holder', 'an-id'], { env }))).toMatchObject({ held: true })
  expect(jsonOf(await latchkey(['stats', '--count'], { env }))).toMatchObject({
    servers: [{ server: directory, survives: 'process', usedBytes: expect.any(Number) as number, counted: { sessions: 1, locks: 1 } }],
  })
  expect(jsonOf(await latchkey(['unlock', '--yes', 'an-id'], { env }))).toMatchObject({ unlocked: true })
  await held.abort()
  expect(await manager.length()).toBe(1)
  const all = []
  for await (const one of manager.all()) all.push(one)
  expect(all).toEqual([{ id: 'an-id', data: { user: 'ada' } }])
})

it('the doctor plays a session on it, and says how it is', async () => {
  const { out, exitCode } = await latchkey(['doctor'], { env, isRead: true })
  expect(out).toMatch(/file store, \d+ K?i?B in use, .* free on disk/)
  expect(out).toContain('ok       A session was locked')
  expect(exitCode).toBe(0)
})

it('makes nothing where there is no store, and says it', async () => {
  const missing = join(directory, 'nothing')
  const { out, exitCode } = await latchkey(['doctor', '--save-path', `file:${missing}`], { isRead: true })
  expect(out).toContain('unreachable')
  expect(exitCode).toBe(3)
  expect((await latchkey(['inspect', 'id', '--save-path', `file:${missing}`])).exitCode).toBe(3)
  expect(existsSync(missing)).toBe(false)
})

it('the doctor finds damage, a full store, and a directory that others can write to', async () => {
  const findings = async (savePath: string): Promise<unknown> => (await latchkey(['doctor', '--save-path', savePath])).out
  const sick = mkdtempSync(join(tmpdir(), 'latchkey-cli-'))
  const other = new SessionManager({ savePath: `file:${sick}` })
  for (let i = 0; i < 400; i++) {
    await other.run(`id${String(i)}`, ({ data }) => {
      data['x'] = 'x'.repeat(3000)
    })
  }
  await other.close()
  expect(await findings(`file:${sick}?maxMiB=1`)).toContain('store-nearly-full')
  const file = join(sick, 'sessions.db')
  const bytes = readFileSync(file)
  bytes.fill(0xa5, bytes.length - 4096, bytes.length - 3000)
  writeFileSync(file, bytes)
  expect(await findings(`file:${sick}`)).toContain('file-damaged')
  chmodSync(sick, 0o777)
  expect(await findings(`file:${sick}`)).toContain('chmod 700')
  rmSync(sick, { recursive: true })
})

it('clear empties it, and nobody else’s sessions', async () => {
  const others = new SessionManager({ savePath: `file:${directory}`, prefix: 'other:' })
  await (await others.start('theirs')).release()
  await others.run('theirs', ({ data }) => {
    data['x'] = 1
  })
  expect(await manager.clear()).toBe(1)
  expect(await manager.length()).toBe(0)
  expect(await others.length()).toBe(1)
  await others.close()
})
