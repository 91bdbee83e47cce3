import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { checkedPhp, type PhpOptions } from '../../src/session/dialect/php-options.js'
import { readSavePath } from '../../src/wire/open-wire.js'
import { doctorPhp } from '../../src/cli/doctor/php/doctor-php.js'
import { readPhpSettings } from '../../src/cli/doctor/php/php-settings.js'
import { systemTerminal } from '../../src/cli/terminal.js'
import { jsonOf, latchkey, type Outcome } from './tool.js'

/** What PHP 8.2 with php-memcached 3.2 and php-memcache 8.0 has told of itself, and files that it was configured by. */
const toldBy = (name: string): string => readFileSync(fileURLToPath(new URL(`php-told/${name}`, import.meta.url)), 'utf8')

interface Diagnosis {
  readonly ok: boolean
  readonly findings: readonly { readonly code: string; readonly severity: string; readonly message: string; readonly advice: string }[]
  readonly phpIni: readonly string[]
  readonly node: object | null
}

const examine = async (input: string): Promise<Diagnosis & { readonly outcome: Outcome; readonly codes: readonly string[] }> => {
  const outcome = await latchkey(['doctor', '--php', '-'], { input })
  const diagnosis = jsonOf(outcome) as Diagnosis
  const { node } = diagnosis
  // Whatever it says is for Node, Node takes.
  if (node !== null && 'php' in node && 'savePath' in node) {
    checkedPhp(node.php as PhpOptions)
    readSavePath(node.savePath as string)
  }
  return { ...diagnosis, outcome, codes: diagnosis.findings.map(({ code }) => code) }
}

const COOKIE = { lifetimeSec: 0, path: '/', secure: false, httpOnly: true }
const WELL = {
  savePath: 'tcp://10.0.0.1:11211',
  lifetimeSec: 1440,
  php: {
    extension: 'memcached', prefix: 'memc.sess.key.', ring: 'ketama', standBackMs: 20, serializeHandler: 'php',
    sidLength: 26, sidBitsPerCharacter: 5, cookieName: 'PHPSESSID', cookie: COOKIE,
  },
}

describe('doctor --php, of what a real PHP tells', () => {
  it('finds nothing wrong with one that is well set up, and says what to write for Node', async () => {
    const { codes, ok, outcome, phpIni, node } = await examine(toldBy('well.txt'))
    expect([ok, outcome.exitCode, codes, phpIni]).toEqual([true, 0, ['command-line'], []])
    expect(node).toEqual(WELL)
  })

  it.each<[string, readonly string[]]>([
    ['unlocked.txt', ['locking-off']],
    ['igbinary.txt', ['serialize-handler']],
    ['three-servers.txt', ['replicas', 'ring', 'servers-removed']],
    ['modula.txt', []],
    ['debian.txt', ['save-handler', 'save-path', 'strict-mode-off', 'cookie-readable', 'lock-for-ever', 'lock-wait-short', 'lock-wait-long', 'lock-wait-first']],
    ['defaults-on-memcached.txt', ['strict-mode-off', 'cookie-readable', 'lock-for-ever', 'lock-wait-short', 'lock-wait-long', 'lock-wait-first']],
    ['memcache.txt', ['strict-mode-off', 'cookie-readable', 'memcache-weak', 'compression', 'prefix', 'several-servers']],
  ])('%s', async (name, codes) => {
    const found = await examine(toldBy(name))
    expect(found.codes).toEqual(['command-line', ...codes])
    expect(found.outcome.exitCode).toBe(found.findings.some(({ severity }) => severity === 'problem') ? 1 : 0)
    for (const { message, advice } of found.findings) for (const text of [message, advice]) expect(text).toMatch(/.{10}/)
  })

  it('a flag that is off, in a php.ini, is shown as 0, which is what it is to PHP', async () => {
    const { lines } = doctorPhp('session.save_handler = memcached\nsession.save_path = "127.0.0.1:11211"\nmemcached.sess_locking = Off\n')
    expect(lines.filter((line) => line.includes('sess_locking'))).toEqual([
      expect.stringMatching(/problem {2}locking-off: .* \(memcached\.sess_locking = 0\)$/),
      expect.stringContaining('php.ini: memcached.sess_locking = On'),
      '  memcached.sess_locking = On',
    ])
  })

  it.each(['unlocked.txt', 'igbinary.txt', 'three-servers.txt', 'debian.txt', 'defaults-on-memcached.txt', 'memcache.txt'])(
    'with the lines that it gives for php.ini, nothing is wrong with %s any more',
    async (name) => {
      const { phpIni } = await examine(toldBy(name))
      expect(phpIni.length).toBeGreaterThan(0)
      const changed = phpIni.reduce((told, line) => {
        const [setting = '', value = ''] = line.split(' = ')
        const before = told.split('\n').filter((each) => !each.startsWith(`${setting} => `))
        return [...before, `${setting} => ${value === '""' ? 'no value' : value} => x`].join('\n')
      }, toldBy(name))
      const again = await examine(changed)
      expect(again.codes.filter((code) => code !== 'memcache-weak')).toEqual(['command-line'])
      expect([again.outcome.exitCode, again.phpIni]).toEqual([0, []])
    },
  )

  it('several servers, their weights, and where they are spelled in capitals', async () => {
    const { node } = await examine(toldBy('three-servers.txt'))
    expect(node).toMatchObject({ savePath: 'tcp://10.0.0.1:11211,tcp://Cache-2:11212?weight=3,tcp://10.0.0.3:11211', php: { ring: 'ketama' } })
    expect((await examine(toldBy('modula.txt'))).node).toMatchObject({ php: { ring: 'modula' } })
  })

  it('pecl-memcache, and a cookie with every attribute', async () => {
    expect((await examine(toldBy('memcache.txt'))).node).toEqual({
      savePath: 'tcp://10.0.0.1:11211?weight=2',
      lifetimeSec: 1440,
      php: {
        extension: 'memcache', serializeHandler: 'php', sidLength: 48, sidBitsPerCharacter: 6, cookieName: 'SHOP',
        cookie: { lifetimeSec: 3600, path: '/', domain: 'example.com', secure: true, httpOnly: true, sameSite: 'strict' },
      },
    })
  })

  it('the page of phpinfo(), whose settings are the web server\'s', async () => {
    const { codes, node } = await examine(toldBy('phpinfo.html'))
    expect(codes).toEqual([])
    expect(node).toEqual(WELL)
  })

  it('a php.ini, and a pool of php-fpm', async () => {
    const ini = await examine(toldBy('debian-php.ini'))
    expect(ini.codes).toContain('defaults-assumed')
    expect(ini.codes).toContain('lock-unlimited')
    const pool = await examine(toldBy('pool.conf'))
    expect(pool.codes).toContain('lock-outlived')
    expect(pool.codes).not.toContain('cookie-readable')
    expect(pool.node).toMatchObject({ savePath: 'tcp://10.0.0.1:11211,tcp://10.0.0.2:11211', php: { prefix: 'shop.' } })
  })

  it.each(['my.shop', '_shop', '12'])('a cookie name that the option php.cookieName refuses: %s', async (name) => {
    const told = toldBy('debian-php.ini') + `\nsession.name = ${name}\n`
    expect((await latchkey(['doctor', '--php', '-'], { input: told })).out).toContain('cookie-name')
  })

  it('for people: what to copy is at the end', async () => {
    const { out, exitCode } = await latchkey(['doctor', '--php', '-'], { input: toldBy('defaults-on-memcached.txt'), isRead: true })
    expect(exitCode).toBe(1)
    expect(out).toMatch(/^php -i, PHP 8\.2\.36, Command Line Interface\n/)
    expect(out).toContain('problem  lock-for-ever: ')
    expect(out).toContain('\n  memcached.sess_lock_expire = 60\n')
    expect(out).toContain('ok       memcached.sess_binary_protocol = On')
    const [, code = ''] = /In Node:\n\n([\s\S]*)$/.exec(out) ?? []
    const given = new Function('SessionManager', `${code}; return manager.options`)(class {
      constructor(readonly options: object) {}
    }) as unknown
    expect(given).toEqual({ ...WELL, savePath: 'tcp://127.0.0.1:11211' })
  })
})

it('docs/reference/cli.md has each of its codes', () => {
  const folder = new URL('../../src/cli/doctor/php/', import.meta.url)
  const sources = ['php-rules.ts', 'doctor-php.ts'].map((name) => readFileSync(new URL(name, folder), 'utf8')).join('')
  const codes = [...sources.matchAll(/code: '([a-z-]+)'/g)].map(([, code = '']) => code)
  expect(codes.length).toBeGreaterThan(25)
  const [, section = ''] = /## doctor --php\n([^]*?)\n## /.exec(readFileSync(new URL('../../docs/reference/cli.md', import.meta.url), 'utf8')) ?? []
  expect(codes.filter((code) => !section.includes(`\`${code}\``))).toEqual([])
})

describe('doctor --php, of anything', () => {
  it('is of no other command, takes no servers, and needs a text that says something', async () => {
    const refused = async (args: readonly string[], input = ''): Promise<string> => {
      const { exitCode, err } = await latchkey(args, { input })
      expect(exitCode).toBe(2)
      return err
    }
    expect(await refused(['copy', '--php', '-', 'tcp://a', 'tcp://b'])).toContain("php.extension is '-' (a string); it must be memcached or memcache")
    expect(await refused(['doctor', '--php', '-', '--servers', '127.0.0.1'])).toContain('asks no server')
    expect(await refused(['doctor', '--php', '-'])).toContain('No setting of PHP')
    expect(await refused(['doctor', '--php', '-'], 'memcached -p 11211\n')).toContain('No setting of PHP')
    expect(await refused(['doctor', '--php', '-'], 'session.name = X\n'.repeat(400_000))).toContain('longer than 4096 KiB')
  })

  it('reads a file, to its limit and no further', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'latchkey-php-'))
    const file = join(directory, 'php.ini')
    writeFileSync(file, 'session.name = SHOP\n')
    const { signal } = new AbortController()
    expect(await systemTerminal.readText(file, 100, signal)).toBe('session.name = SHOP\n')
    expect(await systemTerminal.readText(file, 10, signal)).toBeUndefined()
    await expect(systemTerminal.readText(join(directory, 'none'), 10, signal)).rejects.toThrow('ENOENT')
    rmSync(directory, { recursive: true })
  })

  it('shows no password, and lets no value move a cursor or leave its quotes', async () => {
    const input = [
      'session.save_handler = memcached', 'session.save_path = "10.0.0.1:11211"', 'memcached.sess_sasl_password = "s3cret"',
      'memcached.sess_sasl_username = me', `session.name = "A'B\\"\x1b[2J"`, `session.cookie_path = "/'+x+'"`,
    ].join('\n')
    for (const isRead of [true, false]) {
      const { out } = await latchkey(['doctor', '--php', '-'], { input, isRead })
      expect(out).not.toContain('s3cret')
      expect(out).not.toContain('\x1b')
      expect(out).toContain(isRead ? `path: '/\\'+x+\\''` : `"path": "/'+x+'"`)
    }
  })

  it('text that is made to cost time costs none', () => {
    const parts = [' ', '\t', ';', '=', '"', '\\', '[', 'session.name', ' => ', '<td class="e">', '</td>', '\n', 'php_value', 'php_value[', '&amp;']
    for (const one of parts) for (const other of parts) {
      const text = `session.name = X\n${one.repeat(20_000)}${other.repeat(20_000)}`
      // Of this process alone: a busy machine takes its time as well.
      const before = process.cpuUsage()
      readPhpSettings(text)
      readPhpSettings(`session.save_path = ${text.slice(17)}`)
      expect(process.cpuUsage(before).user / 1000).toBeLessThan(2000)
    }
  })
})
