import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { MemcachedServer } from '../support/memcached-server.js'
import { blocksOf, read, ROOT } from '../support/pages.js'
import { builtProgram } from '../support/programs.js'

const SCRATCH = join(ROOT, '.cache/readme')

it('the Express example of README.md counts visits on memcached', async () => {
  const [code = ''] = blocksOf('README.md').flatMap((block) => (block.how === 'express' ? [block.code] : []))
  mkdirSync(SCRATCH, { recursive: true })
  await using server = await MemcachedServer.start()
  const file = join(SCRATCH, 'express.mjs')
  writeFileSync(
    file,
    code
      .replace('127.0.0.1:11211', server.address)
      .replace('app.listen(3000)', 'const s = app.listen(0, "127.0.0.1", () => console.log(s.address().port))'),
  )
  const child = spawn(process.execPath, [await builtProgram(file)], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const url = `http://127.0.0.1:${line.toString().trim()}/`
    const first = await fetch(url)
    expect(await first.text()).toBe('visit 1')
    const cookie = first.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    await Promise.all(Array.from({ length: 8 }, () => fetch(url, { headers: { cookie } })))
    expect(await (await fetch(url, { headers: { cookie } })).text()).toBe('visit 10')
  } finally {
    child.kill('SIGKILL')
    rmSync(SCRATCH, { recursive: true, force: true })
  }
})

it('README.md names only commands that package.json has', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const named = [...read('README.md').matchAll(/npm run ([\w:]+)/g)].map(([, script = '']) => script)
  expect(named.filter((script) => !(script in scripts))).toEqual([])
})
