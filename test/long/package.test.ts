import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { MemcachedServer } from '../support/memcached-server.js'
import { Stranger } from './stranger.js'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const README = await readFile(join(ROOT, 'README.md'), 'utf8')
const tarball = inject('tarball')

/** The pack as a stranger gets it: checked, installed as the README says, imported, required, and tested with Jest. */

let stranger: Stranger

beforeAll(async () => {
  const [, packages = ''] = /npm install latchkey (.*)/.exec(README) ?? []
  stranger = await Stranger.settle(...packages.split(' '), 'jest@30')
})

afterAll(() => stranger[Symbol.asyncDispose]())

const local = (command: string): string => join(ROOT, 'node_modules/.bin', command)

async function node(file: string, text: string): Promise<string> {
  await stranger.write({ [file]: text })
  return (await stranger.run(process.execPath, [file])).trim()
}

describe('the pack', () => {
  it('publint finds nothing', async () => {
    const { stdout } = await run(local('publint'), ['--strict', tarball], { cwd: stranger.directory })
    expect(stdout).toContain('All good!')
  })

  it('are-the-types-wrong finds nothing: node10, node16 from both sides, bundler', async () => {
    // It exits with 1 when it finds a problem, and then run() rejects.
    const { stdout } = await run(local('attw'), [tarball, '--format', 'json'], { cwd: ROOT })
    const { analysis } = JSON.parse(stdout) as { analysis: { types: unknown } }
    expect(analysis.types).toMatchObject({ kind: 'included' })
  })

  it('is imported from ESM', async () => {
    const text = `
      import { SessionManager } from 'latchkey'
      import { latchkey } from 'latchkey/express'
      import { VirtualClock } from 'latchkey/testing'
      import { encodePhpSession } from 'latchkey/php'
      const manager = new SessionManager()
      await manager.run('id', (session) => { session.data.n = 1 })
      console.log(JSON.stringify(await manager.peek('id')), typeof latchkey, typeof VirtualClock, typeof encodePhpSession)`
    expect(await node('esm.mjs', text)).toBe('{"n":1} function function function')
  })

  it('is required from CommonJS', async () => {
    const text = `
      const { SessionManager } = require('latchkey')
      const { latchkey } = require('latchkey/express')
      const manager = new SessionManager()
      manager.run('id', (session) => { session.data.n = 2 }).then(async () => {
        console.log(JSON.stringify(await manager.peek('id')), typeof latchkey)
      })`
    expect(await node('cjs.cjs', text)).toBe('{"n":2} function')
  })

  it('is required by Jest as it is, without options', async () => {
    await stranger.write({
      'visits.test.js': `
        const { SessionManager, ReadOnlyError } = require('latchkey')
        const { latchkey } = require('latchkey/express')
        test('counts', async () => {
          const manager = new SessionManager()
          latchkey({ manager, secret: 'x', resave: false, saveUninitialized: false })
          await manager.run('id', ({ data }) => { data.n = 1 })
          expect(await manager.peek('id')).toEqual({ n: 1 })
          const session = await manager.start('id')
          await session.release()
          await expect(session.save()).rejects.toThrow(ReadOnlyError)
          await manager.close()
        })`,
    })
    await stranger.run('npx', ['--no-install', 'jest', '--ci'], { CI: 'true' })
  })

  it("runs README's first snippet, in a project that npm init -y has begun", async () => {
    await using server = await MemcachedServer.start()
    const [, snippet = ''] = /<!-- test: express -->\n```js\n([^]*?)```/.exec(README) ?? []
    const [, file = ''] = /\(`(\S+)`/.exec(README.slice(0, README.indexOf(snippet)).split('\n').slice(-5).join('\n')) ?? []
    await stranger.write({ [file]: snippet.replace('127.0.0.1:11211', server.address).replace('app.listen(3000)', "app.listen(0, '127.0.0.1', function () { console.log(this.address().port) })") })
    const child = spawn(process.execPath, [file], { cwd: stranger.directory, stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const [port] = (await once(child.stdout, 'data')) as [Buffer]
      expect(await (await fetch(`http://127.0.0.1:${String(port).trim()}/`)).text()).toBe('visit 1')
    } finally {
      child.kill('SIGKILL')
    }
  })

  it('has what its README links to', async () => {
    const installed = stranger.path('node_modules/latchkey')
    const links = [...(await readFile(join(installed, 'README.md'), 'utf8')).matchAll(/\]\(([^)#]+)[^)]*\)/g)].map(([, link = '']) => link)
    expect(links.length).toBeGreaterThan(10)
    expect(links.filter((link) => !link.startsWith('https://') && !existsSync(join(installed, link)))).toEqual([])
  })

  it('has the tool, as npx finds it', async () => {
    await using server = await MemcachedServer.start()
    const npx = (...args: string[]): ReturnType<typeof run> =>
      run('npx', ['--no-install', 'latchkey', ...args], { cwd: stranger.directory, env: { ...process.env, MEMCACHE_SERVERS: server.address } })
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    expect((await npx('--version')).stdout).toBe(`${version}\n`)
    expect(JSON.parse(String((await npx('doctor')).stdout))).toMatchObject({ ok: true })
    expect((await npx('locks', '--human')).stdout).toBe('No session is locked.\n')
    await expect(npx('holder', 'nobody')).rejects.toMatchObject({ code: 1 })
  })

  it('carries nothing but what is needed', async () => {
    const { files } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { files: string[] }
    expect(files).toEqual(['dist', 'docs', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'])
  })
})
