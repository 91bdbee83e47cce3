/** The example for Next.js in a real application: both bundlers build it, type-check it and serve it, and it lives through hot reloads. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, cp } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { freePorts } from '../../examples/deployment/ports.js'
import { Stranger } from './stranger.js'

const TSCONFIG = {
  compilerOptions: {
    target: 'ES2022',
    lib: ['dom', 'esnext'],
    strict: true,
    module: 'esnext',
    moduleResolution: 'bundler',
    jsx: 'react-jsx',
    noEmit: true,
    esModuleInterop: true,
    resolveJsonModule: true,
    isolatedModules: true,
    skipLibCheck: true,
    incremental: true,
    paths: { '@/*': ['./*'] },
    plugins: [{ name: 'next' }],
  },
  include: ['next-env.d.ts', '**/*.ts', '.next/types/**/*.ts'],
  exclude: ['node_modules'],
}

let stranger: Stranger
let running: ChildProcess | undefined

beforeAll(async () => {
  stranger = await Stranger.settle('next@16', 'react@19', 'react-dom@19', 'typescript@5', '@types/react@19', '@types/node@20')
  // As create-next-app has it: Turbopack takes `"type": "commonjs"` at its word.
  await stranger.npm('pkg', 'delete', 'type')
  await cp(new URL('../../examples/next-route/app', import.meta.url), stranger.path('app'), { recursive: true })
  await stranger.write({ 'tsconfig.json': JSON.stringify(TSCONFIG), 'next.config.mjs': 'export default {}' })
})
afterEach(stop)
afterAll(() => stranger[Symbol.asyncDispose]())

const NEXT = 'node_modules/next/dist/bin/next'
const env = { NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: '' }

async function stop(): Promise<void> {
  const child = running
  if (child?.pid === undefined || child.exitCode !== null) return
  const ended = once(child, 'close')
  // Next.js starts processes of its own, in the same group.
  process.kill(-child.pid, 'SIGKILL')
  await ended
}

/** Starts a server, and returns how to call the example's route as one visitor. */
async function serve(...args: string[]): Promise<(method: string) => Promise<unknown>> {
  const [port = 0] = await freePorts(1)
  running = spawn(process.execPath, [NEXT, ...args, '-p', String(port), '-H', '127.0.0.1'], {
    cwd: stranger.directory,
    env: { ...process.env, ...env },
    stdio: 'ignore',
    detached: true,
  })
  const url = `http://127.0.0.1:${String(port)}/api/cart/pen`
  await expect.poll(() => fetch(url).then(({ status }) => status, () => 0), { timeout: 60_000, interval: 100 }).toBe(200)
  let cookie = ''
  return async (method) => {
    const answer = await fetch(url, { method, headers: { cookie } })
    cookie = answer.headers.getSetCookie()[0]?.replace(/;.*/, '') ?? cookie
    return answer.status === 200 ? answer.json() : answer.status
  }
}

describe.each(['--turbopack', '--webpack'])('next build %s', (bundler) => {
  it('type-checks the example, and serves it', async () => {
    await stranger.run(process.execPath, [NEXT, 'build', bundler], env)
    const call = await serve('start')
    await call('POST')
    await Promise.all(Array.from({ length: 8 }, () => call('POST')))
    expect(await call('GET')).toEqual({ item: 'pen', count: 9 })
  })

  it('next dev keeps its sessions when a file has changed: there is one manager, whichever bundle asks', async () => {
    const call = await serve('dev', bundler)
    expect(await call('POST')).toEqual({ pen: 1 })
    for (const [index, file] of ['app/sessions.ts', 'app/api/cart/[item]/route.ts'].entries()) {
      await appendFile(stranger.path(file), `\nconsole.log('anew')\n`)
      // Whether it has compiled anew by then or not, every answer goes on from the one before.
      for (let count = 1; count <= 5; count++) expect(await call('POST')).toEqual({ pen: 1 + index * 5 + count })
    }
    expect(await call('GET')).toEqual({ item: 'pen', count: 11 })
  })
})
