import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MemcachedServer } from './support/memcached-server.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')
const README = read('README.md')

/** Code blocks are executed inside the project, so that 'latchkey' is what the project is. */
const SCRATCH = join(ROOT, '.cache/docs')
const TSX = ['--import', 'tsx']

let server: MemcachedServer

beforeAll(async () => {
  mkdirSync(SCRATCH, { recursive: true })
  server = await MemcachedServer.start()
})
afterAll(async () => {
  rmSync(SCRATCH, { recursive: true, force: true })
  await server.stop()
})

/** The code blocks of a page under a `<!-- test: how -->` line. */
const blocksOf = (text: string, how: string): string[] =>
  [...text.matchAll(/<!-- test: (\w+) -->\n```js\n([^]*?)```/g)].flatMap(([, kind, code]) =>
    kind === how && code !== undefined ? [code] : [],
  )

describe('README.md', () => {
  it('every code block says how it is tested', () => {
    const blocks = [...README.matchAll(/```js\n/g)].length
    expect(blocksOf(README, 'run').length + blocksOf(README, 'express').length).toBe(blocks)
  })

  it.each(blocksOf(README, 'run').map((code, index) => [index + 1, code] as const))('plain example %i runs and ends by itself', async (index, code) => {
    const file = join(SCRATCH, `readme-${String(index)}.mjs`)
    writeFileSync(file, code)
    const { stdout } = await promisify(execFile)(process.execPath, [...TSX, file], { cwd: ROOT })
    const [, promised] = /console\.log\(.*\) \/\/ (.*)/.exec(code) ?? []
    if (promised !== undefined) expect(stdout.trim()).toBe(promised)
  })

  it('the Express example counts visits on memcached', async () => {
    const [code] = blocksOf(README, 'express')
    const file = join(SCRATCH, 'readme-express.mjs')
    writeFileSync(
      file,
      (code ?? '')
        .replace('127.0.0.1:11211', `127.0.0.1:${String(server.port)}`)
        .replace('app.listen(3000)', 'const s = app.listen(0, "127.0.0.1", () => console.log(s.address().port))'),
    )
    const child = spawn(process.execPath, [...TSX, file], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const [line] = (await once(child.stdout, 'data')) as [Buffer]
      const url = `http://127.0.0.1:${line.toString().trim()}/`
      const first = await fetch(url)
      expect(await first.text()).toBe('visit 1')
      const cookie = first.headers.getSetCookie()[0]?.split(';')[0] ?? ''
      await Promise.all(Array.from({ length: 8 }, () => fetch(url, { headers: { cookie } })))
      expect(await (await fetch(url, { headers: { cookie } })).text()).toBe('visit 10')
    } finally {
      child.kill('SIGKILL')
    }
  })

  it('has a row for every error code, and for no other', () => {
    const sources = read('src/errors.ts') + read('src/adapters/http/http-error.ts')
    const codes = new Set([...sources.matchAll(/LATCHKEY_\w+/g)].map(([code]) => code))
    const rows = new Set([...README.matchAll(/^\| `(LATCHKEY_\w+)`/gm)].map(([, code]) => code))
    expect([...rows].sort()).toEqual([...codes].sort())
  })

  it('has a row for every option', () => {
    const [, declared] = /interface SessionManagerOptions \{([^]*?)\n\}/.exec(read('src/session/options.ts')) ?? []
    const options = [...(declared ?? '').matchAll(/readonly (\w+)\?/g)].map(([, name]) => name)
    expect(options.length).toBeGreaterThan(10)
    for (const option of options) expect(README).toMatch(new RegExp(`^\\|.*\`${option ?? ''}\``, 'm'))
  })
})

describe('docs', () => {
  it('each row of php-contract.md names a test that exists', () => {
    const tests = read('test/session/php-contract.test.ts').replaceAll("\\'", "'")
    const cells = [...read('docs/php-contract.md').matchAll(/\| `([^`]+)` \|$/gm)].map(([, name]) => name ?? '')
    const named = cells.filter((name) => !name.startsWith('LATCHKEY_'))
    expect(named.length).toBeGreaterThan(20)
    for (const name of named) expect(tests).toContain(`it('${name}'`)
  })

  it.each(blocksOf(read('docs/testing.md'), 'run').map((code, index) => [index + 1, code] as const))('example %i of testing.md runs', async (index, code) => {
    const file = join(SCRATCH, `testing-${String(index)}.mjs`)
    writeFileSync(file, code)
    const { stdout } = await promisify(execFile)(process.execPath, [...TSX, file], { cwd: ROOT })
    const [, promised] = /console\.log\(.*\) \/\/ (.*)/.exec(code) ?? []
    expect(stdout.trim()).toBe(promised)
  })

  it.each(blocksOf(read('docs/records.md'), 'run').map((code, index) => [index + 1, code] as const))('example %i of records.md runs', async (index, code) => {
    const file = join(SCRATCH, `records-${String(index)}.mjs`)
    writeFileSync(file, code)
    const { stdout } = await promisify(execFile)(process.execPath, [...TSX, file], { cwd: ROOT })
    const [, promised] = /console\.log\(.*\) \/\/ (.*)/.exec(code) ?? []
    expect(stdout.trim()).toBe(promised)
  })

  it.each(blocksOf(read('docs/records.md'), 'memcached'))('the change of keys in records.md runs on memcached', async (code) => {
    const file = join(SCRATCH, 'records-memcached.mjs')
    writeFileSync(file, code.replace('127.0.0.1:11211', `127.0.0.1:${String(server.port)}`))
    const { stdout } = await promisify(execFile)(process.execPath, [...TSX, file], { cwd: ROOT })
    expect(stdout.trim()).toBe("{ user: 'ada' }")
  })

  it.each(blocksOf(read('docs/adapters.md'), 'run').map((code, index) => [index + 1, code] as const))('example %i of adapters.md runs', async (index, code) => {
    const file = join(SCRATCH, `adapters-${String(index)}.mjs`)
    writeFileSync(file, code)
    const { stdout } = await promisify(execFile)(process.execPath, [...TSX, file], { cwd: ROOT })
    const [, promised] = /console\.log\(.*\) \/\/ (.*)/.exec(code) ?? []
    expect(stdout.trim()).toBe(promised)
  })

  it.each(blocksOf(read('docs/observability.md'), 'run').map((code, index) => [index + 1, code] as const))('example %i of observability.md runs', async (index, code) => {
    const file = join(SCRATCH, `observability-${String(index)}.mjs`)
    writeFileSync(file, code)
    const { stdout } = await promisify(execFile)(process.execPath, [...TSX, file], { cwd: ROOT })
    const [, promised] = /console\.log\(.*\) \/\/ (.*)/.exec(code) ?? []
    expect(stdout.trim()).toBe(promised)
  })

  it.each(blocksOf(read('docs/reliability.md'), 'run'))('the example of reliability.md runs', async (code) => {
    const file = join(SCRATCH, 'reliability.mjs')
    writeFileSync(file, code)
    const { stdout } = await promisify(execFile)(process.execPath, [...TSX, file], { cwd: ROOT })
    expect(stdout).toContain('double submit counted 1 of 2')
  })

  it.each(['README.md', 'CONTRIBUTING.md', 'docs/adapters.md', 'docs/architecture.md', 'docs/cli.md', 'docs/lock-protocol.md', 'docs/observability.md', 'docs/php-contract.md', 'docs/records.md', 'docs/reliability.md', 'docs/testing.md'])(
    '%s names only files that exist',
    (page) => {
      const named = [...read(page).matchAll(/`((?:src|test|docs|examples|bench)\/[\w./-]+\.\w+)`/g)].map(([, file]) => file ?? '')
      const linked = [...read(page).matchAll(/\]\(([\w./-]+\.md)\)/g)].map(([, file]) => join(page, '..', file ?? ''))
      for (const file of [...named, ...linked]) expect(() => read(file)).not.toThrow()
    },
  )
})
