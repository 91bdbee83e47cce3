import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MemcachedServer } from '../support/memcached-server.js'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** The pack as a stranger gets it: checked, installed into an empty project, imported and required. */

let directory: string
let tarball: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'latchkey-pack-'))
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', directory], { cwd: ROOT })
  // `prepare` may print before the JSON.
  const [pack] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as { filename: string }[]
  tarball = join(directory, pack?.filename ?? '')
  await writeFile(join(directory, 'package.json'), '{"name":"stranger","private":true}')
  await run('npm', ['install', '--prefer-offline', tarball, 'express-session@1', 'express@5'], { cwd: directory })
}, 120_000)

afterAll(async () => {
  await rm(directory, { recursive: true, force: true })
})

const local = (command: string): string => join(ROOT, 'node_modules/.bin', command)

async function node(file: string, text: string): Promise<string> {
  await writeFile(join(directory, file), text)
  const { stdout } = await run(process.execPath, [file], { cwd: directory })
  return stdout.trim()
}

describe('the pack', () => {
  it('publint finds nothing', async () => {
    const { stdout } = await run(local('publint'), ['--strict', tarball], { cwd: directory })
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
      const manager = new SessionManager()
      await manager.run('id', (session) => { session.data.n = 1 })
      console.log(JSON.stringify(await manager.peek('id')), typeof latchkey, typeof VirtualClock)`
    expect(await node('esm.mjs', text)).toBe('{"n":1} function function')
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

  it('has types that a strict project compiles against', async () => {
    await writeFile(
      join(directory, 'typed.mts'),
      `import { LockTimeoutError, type Session, SessionManager } from 'latchkey'
       const manager = new SessionManager({ leaseSec: 5 })
       const session: Session<{ n: number }> = await manager.start<{ n: number }>('id')
       const n: number | undefined = session.data.n
       // @ts-expect-error: n is a number
       session.data.n = 'text'
       // @ts-expect-error: there is no such option
       new SessionManager({ leaseMs: 5 })
       export const seen = (error: LockTimeoutError): 'LATCHKEY_LOCK_TIMEOUT' => error.code
       console.log(n)`,
    )
    const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2022', '--lib', 'es2023,esnext.disposable']
    await run(local('tsc'), [...options, '--types', 'node', '--typeRoots', join(ROOT, 'node_modules/@types'), 'typed.mts'], { cwd: directory })
  })

  it('has the tool, as npx finds it', async () => {
    await using server = await MemcachedServer.start()
    const npx = (...args: string[]): ReturnType<typeof run> =>
      run('npx', ['--no-install', 'latchkey', ...args], { cwd: directory, env: { ...process.env, MEMCACHE_SERVERS: server.address } })
    const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    expect((await npx('--version')).stdout).toBe(`${version}\n`)
    expect(JSON.parse(String((await npx('doctor')).stdout))).toMatchObject({ ok: true })
    expect((await npx('locks', '--human')).stdout).toBe('No session is locked.\n')
    await expect(npx('holder', 'nobody')).rejects.toMatchObject({ code: 1 })
  })

  it('carries nothing but what is needed', async () => {
    const { files } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { files: string[] }
    expect(files).toEqual(['dist', 'docs', 'CHANGELOG.md', 'CONTRIBUTING.md'])
  })
})
