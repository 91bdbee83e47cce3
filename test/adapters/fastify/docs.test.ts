import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MemcachedServer } from '../../support/memcached-server.js'
import { section } from '../../support/pages.js'
import { FastifyBrowser } from './browser.js'
import { until } from './site.js'

/** What docs/ says of Fastify: the table of paths, and the migration. Options and examples: test/docs/. */

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const HERE = join(ROOT, 'test/adapters/fastify')
const SCRATCH = join(ROOT, '.cache/fastify')
const read = (...path: string[]): string => readFileSync(join(...path), 'utf8')
const run = (file: string): ReturnType<typeof spawn> => spawn(process.execPath, ['--import', 'tsx', file], { cwd: ROOT })

let server: MemcachedServer
beforeAll(async () => {
  mkdirSync(SCRATCH, { recursive: true })
  server = await MemcachedServer.start()
})
afterAll(async () => {
  rmSync(SCRATCH, { recursive: true, force: true })
  await server.stop()
})

describe('docs/reference/adapters.md', () => {
  it('each row of the table of paths names a test that exists', () => {
    const tests = readdirSync(HERE).filter((file) => file.endsWith('.test.ts'))
    const source = tests.map((file) => read(HERE, file)).join('\n')
    const table = section('docs/reference/adapters.md', '## Fastify')
    const named = [...table.matchAll(/\| `([^`]+)` \|$/gm)].map(([, name]) => name ?? '')
    expect(named.length).toBeGreaterThan(18)
    for (const name of named) expect(source).toContain(`('${name}'`)
  })
})

/** Logs in, and adds eight things at once; what is in the list then. */
async function shopAt(port: number): Promise<{ user: string; list: string[] }> {
  const browser = new FastifyBrowser(port)
  const post = (path: string): ReturnType<FastifyBrowser['get']> => browser.get(path, { method: 'POST' })
  await post('/visit')
  await post('/login/ada')
  await Promise.all(Array.from({ length: 8 }, (_, at) => post(`/list/${String(at)}`)))
  const { body } = await browser.get('/list')
  await post('/logout')
  expect((await browser.get('/list')).body).toBe('{"list":[]}')
  browser.close()
  return JSON.parse(body)
}

async function started<T>(file: string, use: (port: number) => Promise<T>): Promise<T> {
  const child = run(file)
  let printed = ''
  child.stdout?.on('data', (text: Buffer) => (printed += text.toString()))
  child.stderr?.pipe(process.stderr)
  try {
    await until(() => printed.includes('\n'), 15_000)
    return await use(Number(printed))
  } finally {
    child.kill('SIGKILL')
  }
}

describe('coming from @fastify/session', () => {
  const [, diff = ''] = /```diff\n([^]*?)```/.exec(read(ROOT, 'docs/guide/migrating/fastify-session.md')) ?? []
  const lines = (sign: string): string[] => diff.split('\n').filter((line) => line.startsWith(sign)).map((line) => line.slice(1))

  it('changes at most five lines', () => {
    expect(Math.max(lines('-').length, lines('+').length)).toBeGreaterThan(0)
    expect(Math.max(lines('-').length, lines('+').length)).toBeLessThanOrEqual(5)
  })

  it('and an application that lost what its visitors put in their lists loses nothing any more', async () => {
    const application = read(HERE, 'migration/application.mjs')
    const [firstOut = '', secondOut = ''] = lines('-')
    const [manager = '', plugin = '', ...registration] = lines('+')
    for (const line of lines('-')) expect(application).toContain(`\n${line}\n`)
    const changed = application
      .replace(firstOut, `${manager}\n${plugin}`)
      .replace(secondOut, registration.join('\n'))
      .replace('127.0.0.1:11211', server.address)
    const file = join(SCRATCH, 'migrated.mjs')
    writeFileSync(file, changed)
    const all = ['0', '1', '2', '3', '4', '5', '6', '7']
    const before = await started(join(HERE, 'migration/application.mjs'), shopAt)
    expect(before.user).toBe('ada')
    expect(before.list.length).toBeLessThan(all.length)
    const after = await started(file, shopAt)
    expect({ ...after, list: after.list.sort() }).toEqual({ user: 'ada', list: all })
  })
})
