import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ownPort } from '../../examples/deployment/ports.js'
import { isAlive } from './is-alive.js'
import { MemcachedServer } from './memcached-server.js'
import { builtCode } from './programs.js'

describe.concurrent('MemcachedServer', () => {
  it('answers as soon as it is started, and is gone once it is stopped', async () => {
    const server = await MemcachedServer.start()
    expect(await server.commandText('version')).toMatch(/^VERSION 1\.\d+/)
    const pid = server.pid
    await server.stop()
    await server.stop()
    expect(pid !== undefined && isAlive(pid)).toBe(false)
    expect(server.running).toBe(false)
  })

  it('listens on a unix socket', async () => {
    await using server = await MemcachedServer.start({ unixSocket: true })
    expect(existsSync(server.address)).toBe(true)
    expect(await server.commandText('version')).toMatch(/^VERSION/)
  })

  it('takes arguments', async () => {
    const args = ['-m', '8', '-M', '-I', '64k', '-o', 'slab_chunk_max=32768']
    await using server = await MemcachedServer.start({ args })
    const settings = await server.stats('settings')
    expect(settings.get('evictions')).toBe('off')
    expect(settings.get('item_size_max')).toBe('65536')
    expect(await server.stat('limit_maxbytes')).toBe(8 * 1024 * 1024)
  })

  it('restarts empty at the same address', async () => {
    await using server = await MemcachedServer.start()
    const { address, pid } = server
    expect(await server.commandText('set k 0 0 2\r\nhi')).toBe('STORED\r\n')
    expect(await server.commandText('get k')).toBe('VALUE k 0 2\r\nhi\r\nEND\r\n')
    await server.restart()
    expect(server.address).toBe(address)
    expect(server.pid).not.toBe(pid)
    expect(await server.commandText('get k')).toBe('END\r\n')
  })

  it('keeps its port while it is down: nobody else who looks for one is given it', async () => {
    await using server = await MemcachedServer.start()
    await server.kill()
    await expect(ownPort(server.port, server.port + 1)).rejects.toThrow('is free')
    await server.restart()
    expect(await server.commandText('version')).toMatch(/^VERSION/)
  })

  it('carries out after resume() what was sent while it was paused', async () => {
    await using server = await MemcachedServer.start()
    await server.pause()
    const answer = server.commandText('add k 0 0 2\r\nhi')
    expect(await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 50, 'silent'))])).toBe('silent')
    server.resume()
    expect(await answer).toBe('STORED\r\n')
  })

  it('says why it did not start', async () => {
    await expect(MemcachedServer.start({ args: ['--no-such-option'] })).rejects.toThrow(/memcached exited: .*option/)
    await expect(MemcachedServer.start({ binary: '/no/such/memcached' })).rejects.toThrow(/ENOENT/)
  })

  it('dies with the process that started it, even by SIGKILL', async ({ expect }) => {
    const script = `import { isAlive } from './is-alive.js'
import { MemcachedServer } from './test/support/memcached-server.ts'
      console.log((await MemcachedServer.start()).pid)
      setInterval(() => undefined, 1000)`
    const owner = spawn(process.execPath, [await builtCode(script)], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [printed] = await once(owner.stdout, 'data')
    const pid = Number(String(printed))
    expect(isAlive(pid)).toBe(true)
    owner.kill('SIGKILL')
    await expect.poll(() => isAlive(pid), { interval: 5 }).toBe(false)
  })
})
