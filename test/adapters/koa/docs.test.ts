import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MemcachedServer } from '../../support/memcached-server.js'
import { until } from '../express/site.js'
import { KoaBrowser } from './browser.js'

/** What docs/ says of workers and of the way from koa-session. Options and examples: test/docs/. */

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const SCRATCH = join(ROOT, '.cache/koa')
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8')

let server: MemcachedServer
beforeAll(async () => {
  mkdirSync(SCRATCH, { recursive: true })
  server = await MemcachedServer.start()
})
afterAll(async () => {
  rmSync(SCRATCH, { recursive: true, force: true })
  await server.stop()
})

describe('docs/guide/workers.md', () => {
  it('names a test for every stage of a cancellation', () => {
    const tests = read('test/session/cancellation.test.ts')
    const named = [...read('docs/guide/workers.md').matchAll(/\| `([^`]+)` \|$/gm)].map(([, cell]) => cell ?? '')
    const stages = named.filter((cell) => !cell.startsWith('examples/'))
    expect(stages).toHaveLength(6)
    for (const stage of stages) expect(tests).toContain(`it('${stage}'`)
  })
})

/** Adds eight things at once; what is in the list then. */
async function listAt(file: string): Promise<{ user: string; list: string[] }> {
  const child = spawn(process.execPath, ['--import', 'tsx', file], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  child.stdout.on('data', (text: Buffer) => (printed += text.toString()))
  try {
    await until(() => printed.includes('\n'), 15_000)
    const browser = new KoaBrowser(Number(printed))
    await browser.get('/login/ada')
    await browser.get('/login/ada')
    await Promise.all(Array.from({ length: 8 }, (_, at) => browser.get(`/add/${String(at)}`)))
    const { body } = await browser.get('/')
    await browser.get('/logout')
    expect((await browser.get('/')).body).toBe('{"list":[]}')
    browser.close()
    return JSON.parse(body)
  } finally {
    child.kill('SIGKILL')
  }
}

describe('coming from koa-session with a store', () => {
  const [, diff = ''] = /```diff\n([^]*?)```/.exec(read('docs/guide/migrating/koa-session.md')) ?? []
  const lines = (sign: string): string[] => diff.split('\n').filter((line) => line.startsWith(sign)).map((line) => line.slice(1))

  it('changes at most five lines', () => {
    expect(lines('-').length).toBeGreaterThan(0)
    expect(Math.max(lines('-').length, lines('+').length)).toBeLessThanOrEqual(5)
  })

  it('and an application that lost what its visitors put in their lists loses nothing any more', async () => {
    const application = read('test/adapters/koa/migration/application.mjs')
    const [firstOut = '', secondOut = ''] = lines('-')
    const [manager = '', plugin = '', ...use] = lines('+')
    for (const line of lines('-')) expect(application).toContain(`\n${line}\n`)
    const changed = application
      .replace(firstOut, `${manager}\n${plugin}`)
      .replace(secondOut, use.join('\n'))
      .replace('127.0.0.1:11211', server.address)
    writeFileSync(join(SCRATCH, 'migrated.mjs'), changed)
    const before = await listAt('test/adapters/koa/migration/application.mjs')
    expect(before.user).toBe('ada')
    expect(before.list.length).toBeLessThan(8)
    const after = await listAt(join(SCRATCH, 'migrated.mjs'))
    expect({ ...after, list: after.list.sort() }).toEqual({ user: 'ada', list: ['0', '1', '2', '3', '4', '5', '6', '7'] })
  })
})
