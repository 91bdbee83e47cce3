import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { COMMAND_NAMES } from '../../src/cli/help.js'
import { parseInvocation } from '../../src/cli/invocation.js'
import { MemcachedAddress } from '../../src/wire/memcached/memcached-scheme.js'
import { latchkey } from './tool.js'

const HERE = { MEMCACHE_SERVERS: '127.0.0.1:1' }

describe('the command line', () => {
  it('takes the servers from --servers, --save-path, LATCHKEY_SAVE_PATH, MEMCACHE_SERVERS, in this order', () => {
    const portOf = (args: string[], env: Record<string, string>): unknown => {
      const invocation = parseInvocation(args, env)
      if (invocation.kind !== 'command' || invocation.phpFile !== undefined || invocation.urls !== undefined) throw new Error(invocation.kind)
      const { address } = invocation
      if (!(address instanceof MemcachedAddress)) throw new Error('not memcached')
      return address.servers.map(({ endpoint }) => (endpoint.kind === 'tcp' ? endpoint.port : 0))
    }
    const env = { LATCHKEY_SAVE_PATH: 'tcp://a:3', MEMCACHE_SERVERS: 'a:4,b:5' }
    expect(portOf(['locks', '--servers', 'a:1'], env)).toEqual([1])
    expect(portOf(['locks', '--save-path', 'a:2'], env)).toEqual([2])
    expect(portOf(['locks'], env)).toEqual([3])
    expect(portOf(['locks'], { ...env, LATCHKEY_SAVE_PATH: '' })).toEqual([4, 5])
  })

  it.each([
    [[], /No command/],
    [['dance'], /no such command/],
    [['help', 'dance'], /no such command/],
    [['locks', 'x'], /no arguments/],
    [['holder'], /needs a session id/],
    [['holder', ''], /needs a session id/],
    [['holder', 'a', 'b'], /one id/],
    [['locks', '--nonsense'], /--nonsense/],
    [['locks', '--values'], /no option --values/],
    [['doctor', '--yes'], /no option --yes/],
    [['locks', '--json', '--human'], /exclude/],
    [['locks', '--prefix', 'a b'], /prefix/],
    [['locks', '--servers', 'memory:'], /inside one process/],
    [['locks', '--servers', 'tcp://:'], /save path/],
    [['locks', '--servers', 'a', '--save-path', 'b'], /one and the same/],
    [['locks', '--deadline-ms', '5'], /30 to 60000/],
    [['locks', '--deadline-ms', 'soon'], /30 to 60000/],
    [['holder', 'with space'], /session id is refused/],
    [['unlock', 'x'], /--yes/],
  ])('%j is refused, says why, and asks no server', async (args, why) => {
    const outcome = await latchkey(args, { env: HERE, isRead: true })
    expect(outcome).toMatchObject({ exitCode: 2, out: '' })
    expect(outcome.err).toMatch(why)
  })

  it('without servers says how to give them', async () => {
    const { exitCode, err } = await latchkey(['locks'], { isRead: true })
    expect([exitCode, err]).toEqual([2, expect.stringContaining('LATCHKEY_SAVE_PATH')])
  })

  it('repeats no session id and no password, whatever is wrong', async () => {
    const secret = 'topsecret0123456789'
    const wrongs = [
      [secret],
      ['holder', 'a', secret],
      ['locks', secret],
      ['help', secret],
      ['holder', `${secret} x`],
      ['holder', `--${secret}`],
      ['holder', `-${secret}`],
      ['locks', '--servers', `tcp://me:${secret}@h:port`],
      ['locks', '--servers', `tcp://me:${secret}@127.0.0.1:1`],
      ['doctor', '--servers', `tcp://me:${secret}@127.0.0.1:1`],
      ['doctor', '--servers', `tcp://me:${secret}@127.0.0.1:1?protocol=text`],
      ['holder', secret],
      ['inspect', secret],
      ['unlock', '--yes', secret],
      ['locks', `--${secret.slice(0, 0)}json=${secret}`],
    ]
    for (const isRead of [true, false]) {
      for (const args of wrongs) {
        const { exitCode, out, err } = await latchkey(args, { env: HERE, isRead })
        expect(exitCode).not.toBe(0)
        expect(out + err).not.toContain(secret)
      }
    }
  })

  it('tells errors as JSON where no person reads', async () => {
    const { err } = await latchkey(['holder', 'x'], { env: HERE })
    const message = expect.stringContaining('127.0.0.1:1') as string
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'LATCHKEY_SERVER_UNAVAILABLE', message } })
    const { err: usage } = await latchkey([])
    expect(JSON.parse(usage)).toMatchObject({ error: { code: 'USAGE' } })
  })

  it.each(COMMAND_NAMES)('%s --help shows examples that the command line takes', async (command) => {
    for (const args of [[command, '--help'], ['help', command], ['-h', command]]) {
      const { exitCode, out } = await latchkey(args)
      expect(exitCode).toBe(0)
      const [, examples] = out.split('Options of every command')[0]?.split('Examples:') ?? []
      const found = [...(examples ?? '').matchAll(/latchkey (\S+ ?[^|<\n]*)/g)]
      const lines = found.map(([, line]) => (line ?? '').trim().split(' '))
      const own = lines.filter(([name]) => name === command)
      expect(own.length).toBeGreaterThan(0)
      for (const line of own) expect(parseInvocation(line, HERE)).toMatchObject({ kind: 'command', command })
    }
  })

  it('--help names every command, and --version is that of the package', async () => {
    const { out } = await latchkey(['--help'])
    for (const command of COMMAND_NAMES) expect(out).toMatch(new RegExp(`^  ${command} `, 'm'))
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120)
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
    expect(await latchkey(['--version'])).toEqual({ exitCode: 0, out: `${version}\n`, err: '' })
  })
})
