/** Servers on which no lock can be kept say so at once, and say what to change. */
import { SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { MemcachedServer } from '../support/memcached-server.js'
import { binaryReplies, binaryReply, binaryRequests, ScriptedServer } from './memcached-scripted-server.js'

/** Fails every way to a session, before anything of it is sent; `waitMs` is not waited for. */
async function expectRefused(savePath: string, says: RegExp): Promise<void> {
  const manager = new SessionManager({ savePath, waitMs: 600_000 })
  try {
    const calls = [
      manager.run('visitor', () => expect.unreachable('the session was entered')),
      manager.start('visitor', { strict: true }),
      manager.peek('visitor'),
      manager.holder('visitor'),
    ]
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome.status).toBe('rejected')
      if (outcome.status === 'fulfilled') continue
      expect(outcome.reason).toMatchObject({ code: 'LATCHKEY_NOT_SUPPORTED' })
      expect(String(outcome.reason)).toMatch(says)
    }
  } finally {
    await manager.close()
  }
}

describe.each(['text', 'binary'] as const)('%s', (protocol) => {
  it('memcached -C, which counts no versions', async () => {
    await using server = await MemcachedServer.start({ args: ['-C'] })
    await expectRefused(`tcp://${server.address}?protocol=${protocol}`, /without CAS \(-C\).*Start it without -C/)
  })

  it('an engine that counts no versions and does not say so', async () => {
    await using engine = await ScriptedServer.start({ protocol, onRequest: (socket, request) => socket.write(unversioned(request, protocol)) })
    const manager = new SessionManager({ savePath: `tcp://127.0.0.1:${String(engine.port)}?protocol=${protocol}`, waitMs: 600_000 })
    const entered = manager.run('visitor', () => expect.unreachable('the session was entered'))
    await expect(entered).rejects.toMatchObject({ code: 'LATCHKEY_NOT_SUPPORTED' })
    await expect(entered).rejects.toThrow(/without a version \(CAS\)/)
    await manager.close({ graceMs: 0 })
  })

  it("memcached's own proxy, which hides a restart of the server behind it", async () => {
    await using proxy = await ScriptedServer.start({
      protocol,
      onRequest: () => undefined,
      onConnect: (socket) =>
        socket.once('data', (handshake) => {
          socket.write(protocol === 'text' ? TEXT_HANDSHAKE : binaryHandshake(handshake))
          socket.on('data', () => expect.unreachable('something was sent to a proxy'))
        }),
    })
    const savePath = `tcp://127.0.0.1:${String(proxy.port)}?protocol=${protocol}`
    await expectRefused(savePath, /a proxy answers here.*Name the servers themselves/)
  })
})

const TEXT_HANDSHAKE = 'VERSION 1.6.38\r\nSTAT pid 7\r\nSTAT proxy_conn_requests 1\r\nEND\r\nEND\r\n'

function binaryHandshake(handshake: Buffer): Buffer {
  const name = Buffer.from('proxy_conn_requests')
  const [asked] = binaryRequests(handshake).filter(({ opcode }) => opcode === 0x10)
  const stat = binaryReply({ opcode: 0x10, opaque: asked?.opaque ?? 0, value: Buffer.concat([name, Buffer.from('1')]) })
  stat.writeUInt16BE(name.length, 2)
  const [version, ...rest] = binaryRequests(handshake).map(binaryReply)
  return Buffer.concat([version ?? binaryReplies(handshake), stat, ...rest])
}

/** Answers as if everything were there, in version 0. */
function unversioned(request: Buffer, protocol: 'text' | 'binary'): Buffer {
  if (protocol === 'binary') {
    const extras = Buffer.alloc(4)
    const found = binaryRequests(request).map(({ opcode, opaque }) =>
      opcode === 0x00 ? binaryReply({ opcode, opaque, extras, value: Buffer.from('x') }) : binaryReply({ opcode, opaque }),
    )
    return Buffer.concat(found)
  }
  const lines = [...request.toString('latin1').matchAll(/^(add|mg|md) (\S+).*$/gm)].map(([, op, key = '']) => {
    if (op === 'add') return 'STORED\r\n'
    if (op === 'md') return 'EX\r\n'
    return `VA 1 k${key} f0 c0\r\nx\r\n`
  })
  return Buffer.from(lines.join(''))
}
