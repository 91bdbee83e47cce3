import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MemcachedServer } from '../support/memcached-server.js'
import { buildTool, spawnTool } from './tool.js'

/** The tool as a process: pipes, signals, exit codes. */

let server: MemcachedServer
let tool: string
beforeAll(async () => {
  tool = await buildTool()
  server = await MemcachedServer.start({ args: ['-o', 'temporary_ttl=61'] })
})
afterAll(() => server.stop())

describe('the process', () => {
  it('prints JSON into a pipe, and text when asked', async () => {
    const env = { MEMCACHE_SERVERS: server.address }
    const [json, text, none] = await Promise.all([
      spawnTool(tool, ['doctor'], env).ended,
      spawnTool(tool, ['doctor', '--human'], env).ended,
      spawnTool(tool, ['holder', 'x'], env).ended,
    ])
    expect(json.exitCode).toBe(0)
    expect(JSON.parse(json.out)).toMatchObject({ ok: true })
    expect(text.out).toMatch(/^tcp:\/\/127.*\n {2}ok {7}A session was locked/)
    expect(none.exitCode).toBe(1)
  })

  it('ends in peace when nobody reads to the end', async () => {
    const { child, ended } = spawnTool(tool, ['doctor'], { MEMCACHE_SERVERS: server.address })
    child.stdout?.destroy()
    expect(await ended).toMatchObject({ exitCode: 0, err: '' })
  })

  it('keeps its exit code when nobody reads the error either', async () => {
    const { child, ended } = spawnTool(tool, ['dance'])
    child.stderr?.destroy()
    expect(await ended).toMatchObject({ exitCode: 2 })
  })

  it('takes an id that begins with a dash, after "--"', async () => {
    const { exitCode, out } = await spawnTool(tool, ['holder', '--', '-an-id'], { MEMCACHE_SERVERS: server.address }).ended
    expect([exitCode, JSON.parse(out)]).toMatchObject([1, { held: false }])
  })

  it('reads an id from standard input', async () => {
    await server.commandText('set sess:an-id-lck 0 60 1\r\n1')
    const { child, ended } = spawnTool(tool, ['unlock', '--yes', '-'], { MEMCACHE_SERVERS: server.address })
    child.stdin?.write('an-id\n')
    expect(await ended).toMatchObject({ exitCode: 0 })
    expect(await server.commandText('get sess:an-id-lck')).toBe('END\r\n')
  })

  it('warns of nothing, however many the servers', async () => {
    const ports = Array.from({ length: 14 }, (_, index) => `127.0.0.1:${String(index + 1)}`)
    const { exitCode, out, err } = await spawnTool(tool, ['doctor', '--servers', ports.join(',')]).ended
    expect([exitCode, err]).toEqual([3, ''])
    expect(out.match(/"unreachable"/g)).toHaveLength(14)
  })

  const SIGNALS = ['SIGINT', 'SIGTERM'] as const
  it.each(SIGNALS)("%s amid the doctor's session: 130, and nothing of it stays", async (signal) => {
    // Between doctor and server; tells when the lock is on its way.
    let tell: () => void = () => undefined
    const locking = new Promise<void>((resolve) => (tell = resolve))
    const sockets = new Set<Socket>()
    const proxy = createServer((downstream) => {
      const upstream = server.connect()
      for (const socket of [downstream, upstream]) sockets.add(socket.on('error', () => undefined))
      upstream.pipe(downstream)
      downstream.on('data', (chunk: Buffer) => {
        if (!chunk.toString('latin1').startsWith('add sess:latchkey-doctor')) upstream.write(chunk)
        else {
          // The signal is there before the answer is.
          release = (): void => void upstream.write(chunk)
          tell()
        }
      })
      downstream.on('close', () => upstream.destroy())
    })
    let release: () => void = () => undefined
    proxy.listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    const address = proxy.address()
    const port = address !== null && typeof address === 'object' ? address.port : 0
    const { child, ended } = spawnTool(tool, ['doctor'], { MEMCACHE_SERVERS: `127.0.0.1:${String(port)}` })
    await locking
    const setsBefore = await server.stat('cmd_set')
    child.kill(signal)
    await signalled(child)
    release()
    expect(await ended).toMatchObject({ exitCode: 130, out: '' })
    expect(await server.stat('cmd_set')).toBe(setsBefore + 1)
    expect(await server.stat('curr_items')).toBe(0)
    for (const socket of sockets) socket.destroy()
    proxy.close()
  })
})

/** Resolves when the process has no signal pending any more (proc(5): ShdPnd). */
async function signalled({ pid }: { readonly pid?: number | undefined }): Promise<void> {
  await expect.poll(() => /^ShdPnd:\s*0+$/m.test(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))).toBe(true)
}
