import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { SessionManager } from 'latchkey'
import { expect, it } from 'vitest'
import { EXIT } from '../../src/cli/report.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { buildTool } from './tool.js'

/** docs/reference/cli.md is true: its shell lines are run, one after the other, on a real server. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PAGE = readFileSync(join(ROOT, 'docs/reference/cli.md'), 'utf8')
const run = promisify(execFile)

/** A stand-in for jq where it is not installed: `.a`, `.a[0].b`, `.a | length`. */
const JQ = `
let value = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))
for (const [, name, index, size] of process.argv[2].matchAll(/\\.(\\w+)|\\[(\\d+)\\]|(length)/g)) {
  value = name ? value[name] : index ? value[index] : value.length
}
console.log(JSON.stringify(value))
`

it('the shell lines of docs/reference/cli.md print what they say', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'latchkey-docs-'))
  await using server = await MemcachedServer.start()
  const manager = new SessionManager({ savePath: `tcp://${server.address}`, deadlineMs: 30_000 })
  try {
    await manager.run('an-id', (session) => {
      session.data['user'] = 'ada'
    })
    await manager.start('an-id', { label: 'GET /cart' })
    const command = (name: string, what: string): void => {
      writeFileSync(join(directory, name), `#!/bin/sh\nexec ${what} "$@"\n`, { mode: 0o755 })
    }
    const env = { ...process.env, PATH: `${directory}:${process.env['PATH'] ?? ''}` }
    writeFileSync(join(directory, 'jq.cjs'), JQ)
    command('jq', `"${process.execPath}" "${join(directory, 'jq.cjs')}"`)
    command('latchkey', `"${process.execPath}" "${await buildTool()}"`)
    const lines = [...PAGE.matchAll(/<!-- test: shell -->\n```sh\n([^]*?)```/g)].flatMap(([, block = '']) => block.trim().split('\n'))
    const address = server.address
    const [setting = ''] = lines.splice(0, 1)
    expect(lines.length).toBeGreaterThan(5)
    for (const line of lines) {
      const [shell = '', promised = ''] = line.split(/ +# /)
      const script = `${setting}\n${shell}`.replaceAll('127.0.0.1:11211', address)
      const { stdout } = await run('sh', ['-c', script], { cwd: directory, env })
      const flat = (text: string): string => text.replace(/\s+/g, '')
      expect(flat(stdout)).toContain(flat(promised.replaceAll('127.0.0.1:11211', address)))
    }
  } finally {
    await manager.close({ graceMs: 0 })
    rmSync(directory, { recursive: true, force: true })
  }
}, 60_000)

it('docs/reference/cli.md has every exit code, and no other', () => {
  const [, section = ''] = /## Exit codes\n([^]*?)\n## /.exec(PAGE) ?? []
  const codes = [...section.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code))
  expect(codes).toEqual(Object.values(EXIT))
})
