import { SessionManager, type WireWarning } from 'latchkey'
import { afterEach, expect, it, vi } from 'vitest'

afterEach(() => {
  vi.unstubAllEnvs()
})

/** The flag of the process is on globalThis; each case begins without it. */
async function warningsOf(env: string, savePath: string, count = 1): Promise<readonly WireWarning[]> {
  Reflect.deleteProperty(globalThis, Symbol.for('latchkey.memory-forgets'))
  vi.stubEnv('NODE_ENV', env)
  const heard: WireWarning[] = []
  for (let i = 0; i < count; i++) {
    const manager = new SessionManager({ savePath })
    manager.on('warning', (warning) => heard.push(warning))
    await new Promise(setImmediate)
    await manager.close()
  }
  return heard
}

it('memory: says once in production what it forgets', async () => {
  const [warning, ...more] = await warningsOf('production', 'memory:', 3)
  expect(warning).toMatchObject({ code: 'LATCHKEY_MEMORY_FORGETS', message: expect.stringContaining('file:') as string })
  expect(more).toEqual([])
  expect(await warningsOf('production', 'memory:shop')).toHaveLength(1)
})

it('memory: says nothing in development, and other stores say nothing at all', async () => {
  expect(await warningsOf('development', 'memory:')).toEqual([])
  expect(await warningsOf('production', 'tcp://127.0.0.1:1')).toEqual([])
})
